package input_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDocuments reads declarations in YAML and JSON. What is read is read twice as the same, and again from JSON; a refusal names the file.
func FuzzDocuments(f *testing.F) {
	for _, s := range []string{"a: 1\n---\nb: [x, {c: null}]\n", `{"a":[1.5e3,"\u00e9",true,{}]}`, "a: &x [1]\nb: *x\n", "a: |\n  text\n",
		"- 1", "a: ${env:X}", "a: ${file:/nothing}", "? ? ? x", "a: !!binary aGk=", "\t{}", "a: 2026-11-21\nb: 0x1F\nc: 1_0\nd: .inf",
		"%YAML 1.2\n---\n{}", "a: 'it''s'", "<<: {a: 1}", "a: 1\na: 2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		docs, err := reader(text, nil).Documents("-")
		if err != nil {
			if !strings.Contains(err.Error(), "-") || len(err.Error()) > 4*len(text)+1000 {
				t.Errorf("%q is refused with %q", text, err)
			}
			return
		}
		if len(docs) == 0 {
			t.Errorf("%q holds nothing and is accepted", text)
		}
		first, err := json.Marshal(docs)
		if err != nil {
			return // a number that JSON does not have
		}
		twice, err := reader(text, nil).Documents("-")
		if second, _ := json.Marshal(twice); err != nil || string(first) != string(second) {
			t.Errorf("%q is %s, and then %s, %v", text, first, second, err)
		}
		if !utf8.ValidString(text) || strings.Contains(text, "$") {
			return
		}
		for i := range docs {
			one, err := json.Marshal(docs[i])
			if err != nil {
				t.Fatal(err)
			}
			again, err := reader(string(one), nil).Document("-")
			if got, _ := json.Marshal(again); len(docs[i]) > 0 && (err != nil || string(got) != string(one)) {
				t.Errorf("%s is read again as %s, %v", one, got, err)
			}
		}
	})
}
