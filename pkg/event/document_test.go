package event_test

import (
	"bytes"
	"os"
	"testing"
	"text/template"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
)

func reasons() event.Violations {
	return event.Violations{
		{Reason: event.ReasonMalformed, Description: "not JSON; the description names the byte"},
		{Reason: event.ReasonInvalidUTF8, Description: "not UTF-8, or half a surrogate pair"},
		{Reason: event.ReasonWrongType, Description: "a value of the wrong JSON type"},
		{Reason: event.ReasonMissing, Description: "a value is missing or empty"},
		{Reason: event.ReasonUnsafe, Description: "characters that are not allowed there"},
		{Reason: event.ReasonTooLong, Description: "too many characters"},
		{Reason: event.ReasonTooLarge, Description: "the event is larger than 256 KiB"},
		{Reason: event.ReasonTooDeep, Description: "nested too deep"},
		{Reason: event.ReasonTooMany, Description: "too many attributes, custom fields or faults"},
		{Reason: event.ReasonDuplicate, Description: "a name occurs twice"},
		{Reason: event.ReasonReserved, Description: "a variable has a reserved name (records of earlier versions)"},
		{Reason: event.ReasonUnsupported, Description: "a value that Outbound does not accept"},
		{Reason: event.ReasonTime, Description: "the time is too far off"},
		{Reason: event.ReasonUnknownType, Description: "the type is not in the catalogue; the description names the nearest one"},
		{Reason: event.ReasonSubjectMismatch, Description: "the type differs from the NATS subject, or the source is another appliance"},
		{Reason: event.ReasonNotYours, Description: "the token belongs to an appliance and the source is another one"},
		{Reason: event.ReasonUnknownSource, Description: "the token belongs to no appliance and the source is none"},
	}
}

// docs/events.md is generated from the catalogue.
func TestTheDocumentOfEventsIsTheCatalogue(t *testing.T) {
	text, err := os.ReadFile("testdata/events.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	mark := func(vendor bool) string {
		if vendor {
			return "V"
		}
		return "O"
	}
	page, err := template.New("events.md").Funcs(template.FuncMap{"mark": mark}).Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{
		"Common": event.CommonVariables(), "Types": event.Catalogue(), "Reasons": reasons(),
		"MaxAttributes": event.MaxAttributes, "MaxDepth": event.MaxDepth, "MaxText": event.MaxTextLength, "MaxCustom": event.MaxCustomFields,
		"MaxVariables": event.MaxVariables, "MaxName": event.MaxNameLength,
	})
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "../../../docs/events.md", b.Bytes())
}
