package yamlstream_test

import (
	"slices"
	"testing"

	"github.com/outbound-events/outbound/pkg/yamlstream"
)

func TestSplit(t *testing.T) {
	for stream, want := range map[string][]string{
		"":                                  nil,
		"---\n---\n":                        nil,
		"# only a comment\n---\n\n# more\n": nil,
		"a: 1":                              {"a: 1"},
		"\ufeff---\n---\na: 1":              {"\n---\na: 1"},
		"---\na: 1\n":                       {"---\na: 1\n"},
		"---\n---\na: 1\n":                  {"\n---\na: 1\n"},
		"a: 1\n---\n---\nb: 2\n":            {"a: 1\n", "\n\n---\nb: 2\n"},
		"# c\n---\n# d\n---\na: 1\n":        {"\n\n\n---\na: 1\n"},
		"a: 1\n...\n---\nb: 2\n":            {"a: 1\n", "\n\n---\nb: 2\n"},
		"a: 1\n...\nb: 2\n":                 {"a: 1\n", "\n\nb: 2\n"},
		"---\n...\n---\na: 1\n":             {"\n\n---\na: 1\n"},
		"%YAML 1.2\n---\na: 1\n---\nb: 2\n": {"%YAML 1.2\n---\na: 1\n", "\n\n\n---\nb: 2\n"},
		"--- {a: 1}\n---\n--- [b] # c\n":    {"--- {a: 1}\n", "\n\n--- [b] # c\n"},
		"--- # c\r\n---\t\r\na: 1\r\n":      {"\n---\t\r\na: 1\r\n"},
		"a: |\n  x\n  ---\n  %y\n---\nb: 1": {"a: |\n  x\n  ---\n  %y\n", "\n\n\n\n---\nb: 1"},
		"a: 1\n---b: 2\n....: 3\n":          {"a: 1\n---b: 2\n....: 3\n"},
		"null\n---\n~\n---\n---\n\"\"\n---": {"null\n", "\n---\n~\n", "\n\n\n\n---\n\"\"\n"},
		"{\"a\":\n%b: 1}\n":                 {"{\"a\":\n%b: 1}\n"},
		"---\n---\n---\n...\n...\n---\nx\n": {"\n\n\n\n\n---\nx\n"},
	} {
		var got []string
		for _, doc := range yamlstream.Split([]byte(stream)) {
			got = append(got, string(doc))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", stream, got, want)
		}
	}
}
