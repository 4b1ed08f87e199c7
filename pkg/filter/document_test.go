package filter_test

import (
	"os"
	"strings"
	"testing"
)

// fences are the blocks of a language in a document.
func fences(document, language string) (out []string) {
	for _, block := range strings.Split(document, "\n```"+language+"\n")[1:] {
		text, _, _ := strings.Cut(block, "\n```")
		out = append(out, text)
	}
	return out
}

// Every example of docs/filters.md decides what it says there.
func TestExamplesOfTheDocumentAreTrue(t *testing.T) {
	document, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	c, e, count := compiler(t), decode(t, fences(string(document), "json")[0]), 0
	for _, block := range fences(string(document), "cel") {
		for line := range strings.Lines(block) {
			expression, want, ok := strings.Cut(strings.TrimSpace(line), "// ")
			if !ok {
				t.Errorf("%s: does not say what it decides", line)
				continue
			}
			count++
			got := "not sent"
			f, err := c.Compile(expression)
			if err != nil {
				got = "refused: " + err.Error()
			} else if yes, err := f.Matches(e); err != nil {
				got = "not sent: " + err.Error()
			} else if yes {
				got = "sent"
			}
			if got != want && (!strings.Contains(want, ": ") || !strings.HasPrefix(got, want)) {
				t.Errorf("%s\n got %s\nwant %s", expression, got, want)
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d examples were found", count)
	}
}
