package event

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// data reads the event's data.
func (d *decoder) data(k kind) bool {
	switch k {
	case kindNull:
		return d.skip(k)
	case kindObject:
		d.event.Variables = make([]Variable, 0, 16)
		return d.object(d.datum)
	default:
		d.add("data", ReasonWrongType, fmt.Sprintf("is %s: send an object whose members are the variables", k))
		return d.skip(k)
	}
}

// datum reads one member of data.
func (d *decoder) datum(name string) bool {
	switch name {
	case "external_key":
		return d.externalKey(d.peek())
	case "custom_fields":
		return d.customFields(d.peek())
	}
	if Reserved(name) {
		d.add("data."+name, ReasonReserved, "is a reserved name: rename it, and send custom fields in custom_fields")
		return d.skip(d.peek())
	}
	return d.flatten(name)
}

// Reserved reports whether a variable may not be called so, because Outbound gives that variable itself or it would look
// like a custom field.
func Reserved(name string) bool {
	switch name {
	case "event", "version", "timestamp", "appliance_id", "lsid", "custom":
		return true
	}
	return strings.HasPrefix(name, "custom.")
}

// flatten reads a value and makes variables of it.
func (d *decoder) flatten(name string) bool {
	k := d.peek()
	switch k {
	case kindNone:
		return false
	case kindObject:
		return d.flattenObject(name)
	case kindArray:
		return d.flattenArray(name)
	default:
		value, ok := d.scalar(k)
		if ok {
			d.variable(name, value)
		}
		return ok
	}
}

func (d *decoder) flattenObject(name string) bool {
	before, empty := d.where, true
	d.where = "data." + name
	ok := d.object(func(member string) bool {
		empty = false
		return d.flatten(name + "." + member)
	})
	if ok {
		d.where = before
	}
	if ok && empty {
		d.variable(name, "")
	}
	return ok
}

func (d *decoder) flattenArray(name string) bool {
	before, from := d.where, d.at
	d.where = "data." + name
	if !d.skip(kindArray) {
		return false
	}
	d.where = before
	d.variable(name, compact(d.text[from:d.at]))
	return true
}

// compact cuts the blanks between the tokens of valid JSON.
func compact(text string) string {
	if !strings.ContainsAny(text, " \t\n\r") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '\\':
			b.WriteByte(c)
			i++
			c = text[i]
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// variable adds a variable.
func (d *decoder) variable(name, value string) {
	d.checkHalf("data." + name)
	switch {
	case d.tooMany:
	case len(d.event.Variables) == MaxVariables:
		d.tooMany = true
		d.add("data", ReasonTooMany, fmt.Sprintf("has more than %d variables: send fewer", MaxVariables))
	case name == "" || hasControl(name):
		d.add("data."+name, ReasonUnsafe, "has a name that is empty or has control characters: rename it")
	case tooLong(name, MaxNameLength):
		d.add("data."+name, ReasonTooLong, fmt.Sprintf("has a name of more than %d characters: shorten it", MaxNameLength))
	default:
		d.event.Variables = append(d.event.Variables, Variable{Name: name, Value: value})
	}
}

func (d *decoder) externalKey(k kind) bool {
	const field = "data.external_key"
	if k != kindString && k != kindNull {
		d.add(field, ReasonWrongType, fmt.Sprintf("is %s: send a string", k))
		return d.skip(k)
	}
	value, ok := d.scalar(k)
	if ok && d.text1024(field, value) {
		d.event.ExternalKey = value
	}
	return ok
}

// text1024 checks a text that people see: no control characters, at most MaxTextLength.
func (d *decoder) text1024(field, value string) bool {
	before := len(d.found)
	d.checkHalf(field)
	if hasControl(value) {
		d.add(field, ReasonUnsafe, "has control characters: remove them")
	}
	if tooLong(value, MaxTextLength) {
		d.add(field, ReasonTooLong, fmt.Sprintf("has %d characters: the limit is %d", utf8.RuneCountInString(value), MaxTextLength))
	}
	return len(d.found) == before
}

func (d *decoder) customFields(k kind) bool {
	const field = "data.custom_fields"
	if k == kindNull {
		return d.skip(k)
	}
	if k != kindObject {
		d.add(field, ReasonWrongType, fmt.Sprintf("is %s: send an object of code names and values", k))
		return d.skip(k)
	}
	before, count := d.where, 0
	d.where = field
	ok := d.object(func(name string) bool {
		count++
		return d.customField(field+"."+name, name)
	})
	if !ok {
		return false
	}
	d.where = before
	if count > MaxCustomFields {
		d.event.Custom = nil
		d.add(field, ReasonTooMany, fmt.Sprintf("has %d fields: the limit is %d", count, MaxCustomFields))
	}
	return true
}

func (d *decoder) customField(field, name string) bool {
	if !isName(name) || len(name) > MaxTypeLength {
		d.add(field, ReasonUnsafe, "is not a code name: use a lower-case letter, then lower-case letters, digits and underscores, at most 64")
	}
	k := d.peek()
	if k == kindObject || k == kindArray {
		d.add(field, ReasonWrongType, fmt.Sprintf("is %s: send a string, number, boolean or null", k))
		return d.skip(k)
	}
	value, ok := d.scalar(k)
	if ok && d.text1024(field, value) {
		d.event.Custom = append(d.event.Custom, Variable{Name: name, Value: value})
	}
	return ok
}

func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.ContainsFunc(s[i:], unicode.IsControl)
		}
	}
	return false
}

func tooLong(s string, n int) bool { return len(s) > n && utf8.RuneCountInString(s) > n }
