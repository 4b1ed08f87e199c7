package input_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func reader(in string, env map[string]string) *input.Reader {
	return &input.Reader{In: strings.NewReader(in), Getenv: func(name string) string { return env[name] }}
}

func TestASecretIsReadWithoutItsLineEnd(t *testing.T) {
	for text, want := range map[string]string{"s3cret\n": "s3cret", "s3cret\r\n": "s3cret", " s3 \n": " s3 ", "\n": "", "": ""} {
		for name, path := range map[string]string{"a file": write(t, "secret", text), "standard input": "-"} {
			got, err := reader(text, nil).ReadSecret(path)
			var usage *exit.UsageError
			if got != want || (want == "") != errors.As(err, &usage) {
				t.Errorf("%q from %s: %q, %v", text, name, got, err)
			}
		}
	}
	if _, err := reader("", nil).ReadSecret(filepath.Join(t.TempDir(), "none")); exit.Code(err) != exit.CodeUsage {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestDocuments(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []map[string]any
	}{
		{"YAML", "a: 1\nb: [x]\n---\nc: {d: e}\n", []map[string]any{{"a": uint64(1), "b": []any{"x"}}, {"c": map[string]any{"d": "e"}}}},
		{"empty documents", "---\n---\na: b\n---\n# none\n---\n---\nc: d\n", []map[string]any{{"a": "b"}, {"c": "d"}}},
		{"a directive", "%YAML 1.2\n---\na: b\n", []map[string]any{{"a": "b"}}},
		{"JSON", `{"a":"b"}`, []map[string]any{{"a": "b"}}},
		{"empty", "", nil},
		{"only comments", "# nothing\n", nil},
		{"no mapping", "- a\n", nil},
		{"broken", "a: [\n", nil},
		{"broken later", "---\n---\na: [\n", nil},
		{"JSON twice", `{"a":"b"}{"c":"d"}`, nil},
	} {
		got, err := reader(c.text, nil).Documents("-")
		if !reflect.DeepEqual(got, c.want) || (c.want == nil) != (exit.Code(err) == exit.CodeUsage) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestOneDocumentWhereOneIsExpected(t *testing.T) {
	if got, err := reader("a: b\n", nil).Document("-"); err != nil || got["a"] != "b" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := reader("a: b\n---\nc: d\n", nil).Document("-"); exit.Code(err) != exit.CodeUsage {
		t.Errorf("two documents: %v", err)
	}
}

func TestValuesAreReadFromFilesAndTheEnvironment(t *testing.T) {
	path := write(t, "document.yaml",
		"a: ${env:NAME}\nb:\n  - ${file:secret}\n  - c: ${file:secret}\nd: x${env:NAME}\ne: ${other:NAME}\nf: 7\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "secret"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := reader("", map[string]string{"NAME": "value"}).Document(path)
	want := map[string]any{
		"a": "value", "b": []any{"s3cret", map[string]any{"c": "s3cret"}}, "d": "x${env:NAME}", "e": "${other:NAME}", "f": uint64(7),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
	for _, text := range []string{"a: ${env:MISSING}", "a: {b: [ '${file:/none/at/all}' ]}", "a: ${file:-}"} {
		if _, err := reader(text, nil).Document("-"); exit.Code(err) != exit.CodeUsage || !strings.Contains(err.Error(), "a: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
