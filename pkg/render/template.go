package render

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

// The bounds of a body of one's own.
const (
	// MaxTemplate is the longest template of a body, in bytes. The contract documents the same figure.
	MaxTemplate = 64 << 10
	// MaxTemplated is the longest body that a template may render, in bytes.
	MaxTemplated = 256 << 10
	// maxWork is how many steps of loops and bytes of arguments one rendering may take: about a tenth of a second. It is counted,
	// not timed, so that the same event ends the same way on any machine.
	maxWork = 4 << 20
	// stepWork is what one node of a template costs each time a loop comes by.
	stepWork = 20
)

// BodyTemplate is a compiled template of a body. It may be used by many goroutines.
type BodyTemplate struct {
	compiled *template.Template
	headers  map[string]string
}

// BodyData is what a template sees: texts alone, so that there is nothing in it to call.
type BodyData struct {
	Event BodyEvent
	// Vars are the event's own variables by name.
	Vars map[string]string
	// Custom are the custom fields that may be sent, by code name.
	Custom map[string]string
}

// BodyEvent is the event itself, as a template sees it.
type BodyEvent struct {
	// Key is `<appliance>~<event id>`, the webhook-id.
	Key string
	// ID is the event's id within its appliance.
	ID          string
	Type        string
	Appliance   string
	Session     string
	ExternalKey string
	// Time is when it happened, in RFC 3339 and UTC.
	Time string
	// Timestamp is the same in Unix seconds.
	Timestamp int64
}

// NewBodyTemplate reads a template: the language of Go's text/template with the functions of docs/receivers.md and no others,
// without nested templates. Its error says where the mistake is.
func NewBodyTemplate(text string) (*BodyTemplate, error) {
	if len(text) > MaxTemplate {
		return nil, tooLong(text, MaxTemplate)
	}
	t, err := template.New("body").Option("missingkey=zero").Funcs((&rendering{}).functions()).Parse(text)
	if err != nil {
		return nil, errors.New(plainFault(err))
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("define and block are not supported: write one template")
	}
	if t.Tree == nil || t.Root == nil || len(bytes.TrimSpace([]byte(text))) == 0 {
		return nil, errors.New("renders an empty body: write a body, or leave the template empty")
	}
	if err := restrict(t.Tree, t.Root); err != nil {
		return nil, err
	}
	if err := meter(t.Tree, t.Root); err != nil {
		return nil, err
	}
	return &BodyTemplate{compiled: t}, nil
}

// Render writes the body of an event. Custom is as in JSON. The same event gives the same bytes.
func (b *BodyTemplate) Render(e *event.Event, custom []string) ([]byte, error) {
	r := &rendering{left: maxWork, headers: b.headers}
	t, err := b.compiled.Clone()
	if err != nil {
		return nil, fmt.Errorf("prepare the template: %w", err)
	}
	if err := t.Funcs(r.functions()).Execute(r, bodyData(e, custom)); err != nil {
		return nil, errors.New(plainFault(err))
	}
	return r.out.Bytes(), nil
}

func bodyData(e *event.Event, custom []string) BodyData {
	d := BodyData{
		Event: BodyEvent{
			Key: e.Key(), ID: cmp.Or(e.SentID, e.ID), Type: e.Type, Appliance: e.Appliance, Session: e.Session, ExternalKey: e.ExternalKey,
			Time: e.Time.UTC().Format(time.RFC3339Nano), Timestamp: e.Time.Unix(),
		},
		Vars: make(map[string]string, len(e.Variables)), Custom: make(map[string]string, len(e.Custom)),
	}
	for _, v := range e.Variables {
		d.Vars[v.Name] = v.Value
	}
	for _, v := range e.Custom {
		if in(custom, v.Name) {
			d.Custom[v.Name] = v.Value
		}
	}
	return d
}

// tooLong is the error of a text that is not read at all, because reading it would take too long.
func tooLong(text string, limit int) error {
	return fmt.Errorf("has %d bytes: the limit is %d", len(text), limit)
}

// iterateOver precedes the loop value in an error of text/template.
const iterateOver = "range can't iterate over "

// plainFault returns a template error without internal details.
func plainFault(err error) string {
	const longest = 300
	text := strings.TrimPrefix(err.Error(), "template: ")
	text = strings.ReplaceAll(text, "executing \"body\" ", "")
	if before, _, found := strings.Cut(text, iterateOver); found {
		text = before + iterateOver + "this value" // which may be about people
	}
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
