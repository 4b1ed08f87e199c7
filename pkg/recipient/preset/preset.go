// Package preset has presets of HTTP recipients for well-known services: what to ask for, and the recipient that is made from it. Presets
// are data: to add one, add it to presets.go.
package preset

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/outbound-events/outbound/pkg/spelling"
)

// Field is what is asked for.
type Field struct {
	Name, Label, Help string
	// Default is the value if none is given; a field without one is required, unless Optional.
	Default string
	// Secret values are stored sealed, and never shown.
	Secret, Optional bool
	// URL says that the value is a URL.
	URL bool
	// Choices, if any, are the values that are allowed.
	Choices []string
}

// Preset is a kind of receiver.
type Preset struct {
	Name, Title, Description string
	// Source documents the format.
	Source string
	Fields []Field
	// Deduplicates says how the service treats an event that arrives twice.
	Deduplicates string
	// make returns the fields of `http` in the spelling of the REST API.
	make func(v values) map[string]any
}

// values are those of fields, by name.
type values map[string]string

// text is a value as it stands between the quotes of a string in a JSON template.
func (v values) text(name string) string {
	quoted, _ := json.Marshal(v[name])
	return string(quoted[1 : len(quoted)-1])
}

// in puts values into a template, in place of their names in angle quotation marks.
func (v values) in(template string) string {
	for name := range v {
		template = strings.ReplaceAll(template, "«"+name+"»", v.text(name))
	}
	return template
}

// Find returns a preset by its name.
func Find(name string) (Preset, error) {
	var names []string
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	hint := ""
	if near, ok := spelling.Nearest(name, names, 3); ok {
		hint = fmt.Sprintf(" did you mean %s?", near)
	}
	return Preset{}, fmt.Errorf("there is no preset %q:%s use one of %s", name, hint, strings.Join(names, ", "))
}

// FieldError says what is wrong with the value of a field.
type FieldError struct{ Field, Text string }

func (e *FieldError) Error() string { return e.Field + " " + e.Text }

// HTTP returns the fields of `http` of a recipient, in the spelling of the REST API. Its error joins a FieldError for each faulty field.
func (p Preset) HTTP(given map[string]string) (map[string]any, error) {
	var faults []error
	v := values{}
	var names []string
	for _, f := range p.Fields {
		names = append(names, f.Name)
		v[f.Name] = strings.TrimSpace(given[f.Name])
		if v[f.Name] == "" {
			v[f.Name] = f.Default
		}
		if fault := f.fault(v[f.Name]); fault != "" {
			faults = append(faults, &FieldError{f.Name, fault})
		}
	}
	for name := range given {
		if !slices.Contains(names, name) {
			faults = append(faults, &FieldError{name, fmt.Sprintf("is not a field of the preset %s: it has %s", p.Name, strings.Join(names, ", "))})
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return p.make(v), nil
}

func (f Field) fault(value string) string {
	switch {
	case value == "" && f.Optional:
		return ""
	case value == "":
		return "is missing: " + f.Help
	case len(f.Choices) > 0 && !slices.Contains(f.Choices, value):
		return fmt.Sprintf("is %q: use %s", value, f.choice())
	case strings.Contains(value, "{{") || strings.Contains(value, "}}") || strings.ContainsAny(value, "«»"):
		return "has {{, }}, « or », which have a meaning in templates"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "has control characters"
	case !f.URL:
		return ""
	}
	if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "is not a URL such as https://example.com"
	}
	return ""
}

// choice says which values there are.
func (f Field) choice() string {
	const most = 8
	if len(f.Choices) > most {
		return f.Help
	}
	return "one of " + strings.Join(f.Choices, ", ")
}

func trimSlash(u string) string { return strings.TrimRight(u, "/") }

// priorities are those of RFC 5424, 6.2.1.
func priorities() []string {
	out := make([]string, 192)
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}
