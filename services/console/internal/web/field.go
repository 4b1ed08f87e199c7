package web

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// Option is an option of a field.
type Option struct {
	Value, Label string
}

// Field is a form field for the partial `field`.
type Field struct {
	ID, Name, Label, Type, Value, Help, Fault string
	Placeholder, Autocomplete, Pattern        string
	Required, Disabled, Checked               bool
	// Stored reports whether a secret is stored, which is not shown.
	Stored  bool
	Rows    int
	Options []Option
	// Chosen are the values of a multi-value field.
	Chosen []string
}

// Describes returns the ids of the descriptions of the field, for screen readers.
func (f Field) Describes() string {
	var ids string
	if f.Help != "" {
		ids = f.ID + "-help"
	}
	if f.Fault != "" {
		ids += " " + f.ID + "-fault"
	}
	return ids
}

// Has reports whether a value is selected.
func (f Field) Has(value string) bool { return slices.Contains(f.Chosen, value) || f.Value == value }

// newField returns a field with a name, a label and pairs of attributes: type (text, email, url, number, password, textarea, select,
// checkbox, checkboxes, file), help, options ([]Option), placeholder, autocomplete, pattern, required, disabled, stored, rows. It
// shows the value of the form, except for passwords and files.
func newField(f *Form, name, label string, more ...any) (Field, error) {
	out := Field{ID: FieldID(name), Name: name, Label: label, Type: "text", Fault: f.Label(name, label), Rows: 4}
	if len(more)%2 != 0 {
		return out, fmt.Errorf("field %s: attributes must be pairs", name)
	}
	for i := 0; i < len(more); i += 2 {
		if err := out.set(fmt.Sprint(more[i]), more[i+1]); err != nil {
			return out, err
		}
	}
	if f != nil && out.Type != "password" && out.Type != "file" {
		out.Value, out.Chosen, out.Checked = f.Values.Get(name), f.Values[name], f.On(name)
	}
	if f != nil && out.Type == "textarea" {
		// A list has one line per value.
		out.Value = strings.Join(f.Values[name], "\n")
	}
	return out, nil
}

func (f *Field) set(key string, value any) error {
	text, isText := value.(string)
	truth, _ := template.IsTrue(value)
	switch key {
	case "type":
		f.Type = text
	case "help":
		f.Help = text
	case "placeholder":
		f.Placeholder = text
	case "autocomplete":
		f.Autocomplete = text
	case "pattern":
		f.Pattern = text
	case "options":
		o, ok := value.([]Option)
		if !ok {
			return fmt.Errorf("field %s: options are %T, want []web.Option", f.Name, value)
		}
		f.Options = o
		return nil
	case "required":
		f.Required = truth
		return nil
	case "disabled":
		f.Disabled = truth
		return nil
	case "stored":
		f.Stored = truth
		return nil
	case "rows":
		n, ok := value.(int)
		if !ok {
			return fmt.Errorf("field %s: rows is %T, want int", f.Name, value)
		}
		f.Rows = n
		return nil
	default:
		return fmt.Errorf("field %s: unknown attribute %q", f.Name, key)
	}
	if !isText {
		return fmt.Errorf("field %s: %s is %T, want string", f.Name, key, value)
	}
	return nil
}
