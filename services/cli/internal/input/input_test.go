package input_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
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
		"a: ${env:NAME}\nb:\n  - ${file:secret}\n  - c: ${file:secret}\nd: x${env:NAME}/${file:secret}$1\n"+
			"e: $${other:NAME}\nf: 7\ng: '$$ ${ {a} ${ $ {x} ${unclosed'\nh: $${env:NAME}${env:NAME}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "secret"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := reader("", map[string]string{"NAME": "value"}).Document(path)
	want := map[string]any{
		"a": "value", "b": []any{"s3cret", map[string]any{"c": "s3cret"}}, "d": "xvalue/s3cret$1", "e": "${other:NAME}", "f": uint64(7),
		"g": "$$ ${ {a} ${ $ {x} ${unclosed", "h": "${env:NAME}value",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
	for _, text := range []string{"a: ${env:MISSING}", "a: {b: [ '${file:/none/at/all}' ]}", "a: ${file:-}", "a: ${HOOK}", "a: 'x${ENV:NAME}'",
		"a: ${ env:NAME }", "a: ${}", "a: [{b: 'Token ${env}'}]", "a: ${env:NAME}${FILE:x}", "a: ${other:NAME}"} {
		if _, err := reader(text, nil).Document("-"); exit.Code(err) != exit.CodeUsage || !strings.Contains(err.Error(), "a: ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What looks like a placeholder is named, with what to write instead.
func TestWhatLooksLikeAPlaceholderIsRefusedByName(t *testing.T) {
	_, err := reader("http: {url: 'https://x/${HOOK}'}", nil).Document("-")
	for _, want := range []string{"http: url: ${HOOK} is not a placeholder", "${env:NAME}", "${file:PATH}", "$${HOOK}"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestATextThatLooksLikeAPlaceholderIsReadBack(t *testing.T) {
	for _, text := range []string{"${env:X}", "a ${X} b", "$${X}", "$$${X}${Y}", "${", "$", "x", "", "${a\n}", "{{$x}} ${ {}"} {
		doc, err := reader("a: "+strconv.Quote(input.Escape(text)), map[string]string{"X": "wrong"}).Document("-")
		if err != nil || doc["a"] != text {
			t.Errorf("%q: %v, %v", text, doc, err)
		}
	}
}

// A document of a few lines can stand for more than any memory holds, or be nested deeper than any stack.
func TestDocumentsAreBounded(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	for name, c := range map[string]struct{ text, want string }{
		"aliases of aliases":    {bomb, "aliases"},
		"brackets without end":  {strings.Repeat("[", 1<<20), "nested deeper"},
		"braces without end":    {strings.Repeat("{a: ", 1<<18), "nested deeper"},
		"dashes without end":    {strings.Repeat("- ", 1<<18), "nested deeper"},
		"questions without end": {strings.Repeat("? ", 1<<18), "nested deeper"},
	} {
		if _, err := reader(c.text, nil).Documents("-"); exit.Code(err) != exit.CodeUsage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := reader("a: &a {b: 1}\nc: [*a, *a]\nd:\n  <<: *a\n  e: 2\n", nil).Document("-")
	if one := map[string]any{"b": uint64(1)}; err != nil || !reflect.DeepEqual(got["c"], []any{one, one}) {
		t.Errorf("%v, %v", got, err)
	}
}
