package event_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

// constants are the reasons in violation.go, by name.
func constants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "violation.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a text", spec.Names[0].Name)
		}
		if out[spec.Names[0].Name], err = strconv.Unquote(literal.Value); err != nil {
			t.Fatal(err)
		}
		return true
	})
	if len(out) == 0 {
		t.Fatal("there are no reasons")
	}
	return out
}

// Each reason is given for one event at least. Those of intake are tested there, because they need to know the sender.
func TestEachReasonIsGiven(t *testing.T) {
	given := map[string]string{
		event.ReasonTooLarge: "intake", event.ReasonUnknownSource: "intake",
		event.ReasonSubjectMismatch: "intake", event.ReasonNotYours: "intake",
		event.ReasonReserved: "earlier versions",
	}
	for reason, raw := range map[string][]byte{
		event.ReasonMalformed:   []byte(`{`),
		event.ReasonMissing:     with("id", ""),
		event.ReasonUnsafe:      with("id", `"a\tb"`),
		event.ReasonTooLong:     with("data", `{"external_key":`+quoted("a", event.MaxTextLength+1)+`}`),
		event.ReasonInvalidUTF8: with("x", "\"\xff\""),
		event.ReasonUnsupported: with("specversion", `"2.0"`),
		event.ReasonWrongType:   with("id", "1"),
		event.ReasonTooDeep:     with("x", strings.Repeat("[", event.MaxDepth)),
		event.ReasonTooMany:     extended(event.MaxAttributes, ""),
		event.ReasonDuplicate:   []byte(`{"specversion":"1.0","id":"e","source":"a","type":"x","type":"x"}`),
		event.ReasonTime:        with("time", `"2020-01-01T00:00:00Z"`),
		event.ReasonUnknownType: with(),
	} {
		e, violations := event.Decode(raw)
		if violations == nil {
			violations = e.Check(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), func(string) bool { return reason == event.ReasonTime })
		}
		if len(violations) != 1 || violations[0].Reason != reason {
			t.Errorf("%s: %+v", reason, violations)
		}
		given[reason] = "here"
	}
	for name, reason := range constants(t) {
		if given[reason] == "" {
			t.Errorf("%s is given for no event: add one", name)
		}
	}
}

func TestReasonsAreWordsOfTheirOwn(t *testing.T) {
	seen := make(map[string]string)
	for name, reason := range constants(t) {
		if !regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`).MatchString(reason) {
			t.Errorf("%s is %q", name, reason)
		}
		if seen[reason] != "" {
			t.Errorf("%s and %s are both %s", name, seen[reason], reason)
		}
		seen[reason] = name
	}
}

// Descriptions say what is wrong and what to do, without a full stop, so that a list of them reads as one sentence.
func TestDescriptionsSayWhatToDo(t *testing.T) {
	long := quoted("a", 2000)
	for _, raw := range [][]byte{
		[]byte(`{}`), []byte(`[]`), with("id", `""`), with("id", "1"), with("id", `"\t"`), with("type", `"\n"`), with("source", `" "`),
		with("source", `"%"`), with("specversion", `"2.0"`), with("time", `"x"`), with("time", `""`), with("datacontenttype", `"x"`),
		with("data_base64", `"x"`), with("data_base64", "1"), with("data", "1", "data_base64", `"AA=="`), with("Ext", "1"), with("", "1"),
		with("x", "\"\xff\""), with("data", `{"external_key":1,"custom_fields":1}`), with("data", `{"external_key":"\n"}`),
		with("data", `{"custom_fields":{"B":[],"a":`+long+`,"a":1,"h":"\ud800"}}`), with("x", strings.Repeat("[", 17)),
		extended(event.MaxAttributes, ""),
	} {
		_, violations := event.Decode(raw)
		if len(violations) == 0 {
			t.Errorf("%s is accepted", raw)
		}
		for _, v := range violations {
			advises := strings.Contains(v.Description, ": ") || strings.HasPrefix(v.Description, "must be ")
			if !advises || strings.HasSuffix(v.Description, ".") || strings.Contains(v.Description, "\n") {
				t.Errorf("%s: %q", v.Reason, v.Description)
			}
		}
	}
}

func TestViolationsReadAsOneSentence(t *testing.T) {
	for _, c := range []struct {
		violations event.Violations
		want       string
	}{
		{nil, ""},
		{event.Violations{{Description: "is empty: fill it"}}, "is empty: fill it"},
		{event.Violations{{Field: "id", Reason: "X", Description: "is empty: fill it"}}, "id: is empty: fill it"},
		{event.Violations{{Field: "id", Description: "a"}, {Description: "b"}, {Field: "time", Description: "c"}}, "id: a; b; time: c"},
	} {
		if got := c.violations.Error(); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

func TestALongFieldIsCutInAViolation(t *testing.T) {
	_, violations := event.Decode(with("data", `{"`+strings.Repeat("é", 5000)+`":"\ud800"}`))
	if len(violations) != 1 {
		t.Fatal(violations)
	}
	if got, want := violations[0].Field, "data."+strings.Repeat("é", event.MaxNameLength-len("data."))+"…"; got != want {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
