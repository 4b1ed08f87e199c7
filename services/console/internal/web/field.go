package web

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// Option is a choice of a field.
type Option struct {
	Value, Label string
}

// Field is a field of a form as the partial `field` shows it.
type Field struct {
	ID, Name, Label, Type, Value, Help, Fault string
	Placeholder, Autocomplete, Pattern        string
	Required, Disabled, Checked               bool
	// Secret says that a value is stored that is not shown.
	Stored  bool
	Rows    int
	Options []Option
	// Chosen are the values of a field that takes several.
	Chosen []string
}

// Describes are the ids of what describes the field, for screen readers.
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

// Has reports whether a value is chosen.
func (f Field) Has(value string) bool { return slices.Contains(f.Chosen, value) || f.Value == value }

// newField makes a field of a form: its name, its label, then pairs of more: type (text, email, url, number, password, textarea,
// select, checkbox, checkboxes, file), help, options ([]Option), placeholder, autocomplete, pattern, required, disabled, stored,
// rows. What was typed is shown again, but for passwords and files.
func newField(f *Form, name, label string, more ...any) (Field, error) {
	out := Field{ID: FieldID(name), Name: name, Label: label, Type: "text", Fault: f.Label(name, label), Rows: 4}
	if len(more)%2 != 0 {
		return out, fmt.Errorf("field %s: what comes after the label must be pairs", name)
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
		// A list has a line for each of its values.
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
		return fmt.Errorf("field %s: %q is not known", f.Name, key)
	}
	if !isText {
		return fmt.Errorf("field %s: %s is %T, want a text", f.Name, key, value)
	}
	return nil
}
