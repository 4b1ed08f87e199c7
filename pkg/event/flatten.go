package event

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wholeData is the variable that data becomes which has no variables of its own.
const wholeData = "data"

// data reads the event's data.
func (d *decoder) data(k kind) bool {
	d.hasData = k != kindNull
	switch k {
	case kindNone, kindNull:
		return d.skip(k)
	case kindObject:
		d.event.Variables = make([]Variable, 0, 16)
		return d.object(d.member)
	case kindArray:
		from := d.at
		if !d.skip(k) {
			return false
		}
		d.event.Variables = []Variable{{Name: wholeData, Value: compact(d.text[from:d.at])}}
		return true
	default:
		value, ok := d.scalar(k)
		if ok {
			d.event.Variables = []Variable{{Name: wholeData, Value: value}}
		}
		return ok
	}
}

// binary reads data_base64. What it holds is read once the content type is known.
func (d *decoder) binary(k kind) bool {
	const field = "data_base64"
	if k == kindNull {
		return d.skip(k)
	}
	if k != kindString {
		d.add(field, ReasonWrongType, fmt.Sprintf("is %s: send a string", k))
		return d.skip(k)
	}
	text, ok := d.str()
	if !ok {
		return false
	}
	if _, err := base64.StdEncoding.DecodeString(text); err != nil || strings.ContainsAny(text, "\r\n") {
		d.add(field, ReasonUnsupported, "is not base64 as in RFC 4648, section 4: encode the data so, with padding")
		return true
	}
	d.base64 = text
	return true
}

// readBase64 makes variables of data_base64: of JSON as of data, of UTF-8 text the text, else of the base64 text itself.
func (d *decoder) readBase64() {
	if d.base64 == "" || d.hasData {
		return
	}
	raw, _ := base64.StdEncoding.DecodeString(d.base64) // binary has checked it
	contentType := d.attrs[attrContentType]
	if isJSON(contentType) {
		sub := &decoder{event: &Event{}, scanner: scanner{text: string(raw), depth: 1}}
		sub.twice = func(name string) {
			d.add(join("data_base64", name), ReasonDuplicate, "is a duplicate name in an object: send it once")
		}
		if sub.readData() {
			sub.sortVariables()
			d.found = append(d.found, sub.found...)
			d.event.Variables, d.event.Custom, d.event.ExternalKey = sub.event.Variables, sub.event.Custom, sub.event.ExternalKey
			if sub.whole {
				d.event.Variables = []Variable{{Name: wholeData, Value: sub.wholeText()}}
			}
			return
		}
	}
	value := d.base64
	if media, _, _ := strings.Cut(contentType, "/"); strings.EqualFold(media, "text") && utf8.Valid(raw) {
		value = string(raw)
	}
	d.event.Variables = []Variable{{Name: wholeData, Value: value}}
}

// readData reads a text that is JSON data alone; false: it is not.
func (d *decoder) readData() bool {
	if !utf8.ValidString(d.text) || !d.data(d.peek()) {
		return false
	}
	d.blanks()
	return d.at == len(d.text)
}

// member reads one member of data.
func (d *decoder) member(name string) bool {
	switch name {
	case "external_key":
		return d.externalKey(d.peek())
	case "custom_fields":
		return d.customFields(d.peek())
	}
	d.peek()
	sent, from := name, d.at
	// Outbound gives the variables with reserved names itself.
	if Reserved(name) {
		name = wholeData + "." + name
	}
	if !d.flatten(name) {
		return false
	}
	d.members = append(d.members, datum{name: sent, from: from, to: d.at})
	return true
}

// datum is one member of data: its name, and where its value is in the text.
type datum struct {
	name     string
	from, to int
}

// wholeText is data as JSON text without blanks and without the custom fields, which not every recipient may have.
func (d *decoder) wholeText() string {
	b := append(make([]byte, 0, len(d.text)), '{')
	for i, m := range d.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(AppendQuoted(b, m.name), ':'), compact(d.text[m.from:m.to])...)
	}
	return string(append(b, '}'))
}

// AppendQuoted appends a JSON string to b, with the escapes alone that must be (RFC 8259, 7). Bytes that are not UTF-8 stay as they are.
func AppendQuoted(b []byte, s string) []byte {
	const lowerHex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
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
	if len(d.event.Variables) == MaxVariables || name == "" || hasControl(name) || tooLong(name, MaxNameLength) {
		d.whole = true
	}
	if !d.whole {
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
