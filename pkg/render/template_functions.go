package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/template"
	"time"
)

// errTooMuchWork and errBodyTooLong end a rendering.
var (
	errTooMuchWork = errors.New("it exceeds the execution limit: reduce the loops")
	errBodyTooLong = fmt.Errorf("the body is longer than %d KiB", MaxTemplated>>10)
)

// rendering is one execution of a template: what it wrote and what it may still do.
type rendering struct {
	out  bytes.Buffer
	left int
	// headers are the custom headers of the recipient.
	headers map[string]string
}

// Write takes output, up to MaxTemplated.
func (r *rendering) Write(p []byte) (int, error) {
	if r.out.Len()+len(p) > MaxTemplated {
		return 0, errBodyTooLong
	}
	return r.out.Write(p)
}

func (r *rendering) functions() template.FuncMap {
	return template.FuncMap{
		"json": r.json, "urlquery": r.urlquery, "upper": r.upper, "lower": r.lower, "default": r.fallback, "date": r.date, "step": r.step,
		"cut": r.cut, "header": r.header, "jsontext": r.jsontext, "lines": r.lines, "replace": r.replace,
	}
}

// spend takes work off what is left.
func (r *rendering) spend(n int) error {
	if r.left -= n; r.left < 0 {
		return errTooMuchWork
	}
	return nil
}

// step is called by each loop, with the number of its nodes.
func (r *rendering) step(nodes int) (string, error) { return "", r.spend(nodes * stepWork) }

func (r *rendering) json(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("encode JSON: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), r.spend(b.Len())
}

func (r *rendering) urlquery(s string) (string, error) {
	return url.QueryEscape(s), r.spend(len(s))
}

func (r *rendering) upper(s string) (string, error) { return strings.ToUpper(s), r.spend(len(s)) }

func (r *rendering) lower(s string) (string, error) { return strings.ToLower(s), r.spend(len(s)) }

func (r *rendering) fallback(instead, s string) (string, error) {
	if s == "" {
		s = instead
	}
	return s, r.spend(1)
}

// date writes a time of RFC 3339 in a layout of Go, in UTC.
func (r *rendering) date(layout, at string) (string, error) {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		// The value itself may be personal data and is not shown.
		return "", errors.New("the value is not an RFC 3339 time such as .Event.Time")
	}
	return t.UTC().Format(layout), r.spend(len(layout))
}
