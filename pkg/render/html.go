package render

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"strings"
)

// MaxHTML is the most bytes an HTML body may have when its macros are replaced. A longer one is left out of the mail.
const MaxHTML = 1 << 20

// MaxHTMLTemplate is the longest HTML body with macros, in bytes. The contract documents the same figure.
const MaxHTMLTemplate = 128 << 10

// maxHTMLValue is the most bytes of one value that an HTML body takes in.
const maxHTMLValue = 64 << 10

// The delimiters of template actions. They can't occur in an HTML body, which has no control characters.
const (
	actionBegin = "\x01"
	actionEnd   = "\x02"
)

// HTMLBody is an HTML template with macros. html/template determines the context of each macro (text, an
// attribute, a URL, a style) and escapes its value for it, so that a value is never markup.
type HTMLBody struct{ t *template.Template }

// NewHTMLBody reads an HTML text with macros. Its error says why it is none that can be mailed.
func NewHTMLBody(text string) (*HTMLBody, error) {
	if len(text) > MaxHTMLTemplate {
		return nil, tooLong(text, MaxHTMLTemplate)
	}
	text = manyLines(text)
	if err := checkElements(text); err != nil {
		return nil, err
	}
	t, err := template.New("html").Delims(actionBegin, actionEnd).Option("missingkey=zero").Parse(actions(text))
	if err != nil {
		return nil, htmlFault(err)
	}
	b := &HTMLBody{t}
	// Escaping is settled at the first execution, whatever the values.
	if _, err := b.expand(values{}); err != nil {
		return nil, err
	}
	return b, nil
}

// expand replaces the macros.
func (b *HTMLBody) expand(v values) (string, error) {
	data := make(map[string]string, len(v))
	for name, value := range v {
		data[name] = cutTo(manyLines(value), maxHTMLValue)
	}
	w := &boundedWriter{left: MaxHTML}
	if err := b.t.Execute(w, data); err != nil {
		return "", htmlFault(err)
	}
	return w.b.String(), nil
}

// boundedWriter refuses what would be too long.
type boundedWriter struct {
	b    bytes.Buffer
	left int
}

var errHTMLTooLong = fmt.Errorf("is longer than %d KiB after macro replacement", MaxHTML>>10)

// Write implements io.Writer.
func (w *boundedWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, errHTMLTooLong
	}
	w.left -= len(p)
	return w.b.Write(p)
}

// htmlFault returns the message for an error of html/template.
func htmlFault(err error) error {
	var e *template.Error
	switch {
	case errors.Is(err, errHTMLTooLong):
		return errHTMLTooLong
	case errors.As(err, &e):
		what := e.Description
		for _, delimiter := range []string{actionBegin, actionEnd} {
			what = strings.ReplaceAll(what, delimiter, "%")
		}
		if e.Line > 0 {
			return fmt.Errorf("can't be escaped safely: line %d: %s", e.Line, what)
		}
		return fmt.Errorf("can't be escaped safely: %s", what)
	default:
		return fmt.Errorf("can't be read: %w", err)
	}
}

// actions writes the text as a template: a macro becomes an action, and a table row that has macros is left out when all of them
// are empty.
func actions(text string) string {
	var b strings.Builder
	at := 0
	for _, r := range tableRows(text) {
		if names := macrosIn(text[r.begin:r.end]); len(names) > 0 {
			writeActions(&b, text[at:r.begin])
			b.WriteString(actionBegin + "if or ." + strings.Join(names, " .") + actionEnd)
			writeActions(&b, text[r.begin:r.end])
			b.WriteString(actionBegin + "end" + actionEnd)
			at = r.end
		}
	}
	writeActions(&b, text[at:])
	return b.String()
}

func writeActions(b *strings.Builder, text string) {
	for _, p := range split(text) {
		if p.macro == "" {
			b.WriteString(p.text)
		} else {
			b.WriteString(actionBegin + "." + p.macro + actionEnd)
		}
	}
}

func macrosIn(text string) []string {
	var out []string
	for _, p := range split(text) {
		if p.macro != "" {
			out = append(out, p.macro)
		}
	}
	return out
}
