package event

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The bounds of an event. docs/events.md documents the same figures.
const (
	// MaxApplianceLength of an appliance's id.
	MaxApplianceLength = 64
	// MaxTypeLength of an event type's identifier.
	MaxTypeLength = 64
	// MaxTextLength of the external key and of a custom field's value, in characters.
	MaxTextLength = 1024
	// MaxNameLength of a variable's flattened name, in characters.
	MaxNameLength = 256
	// MaxCustomFields an event may have values for.
	MaxCustomFields = 30
	// MaxVariables an event may have once flattened, custom fields apart.
	MaxVariables = 1000
	// MaxDepth of nested objects and arrays; the event itself is the first.
	MaxDepth = 16
	// MaxAttributes an event may have, extension attributes included. The time is not counted, because WithTime adds it.
	MaxAttributes = 100
	// maxViolations is how many faults of one event are listed.
	maxViolations = 50
)

// attribute is one of the event's context attributes that have a meaning here.
type attribute int

const (
	attrSpecVersion attribute = iota
	attrID
	attrSource
	attrType
	attrTime
	attrSubject
	attrContentType
	attrSchema
	attrCount
)

func (a attribute) String() string {
	return [...]string{"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"}[a]
}

func attributeOf(name string) (attribute, bool) {
	for a := range attrCount {
		if a.String() == name {
			return a, true
		}
	}
	return 0, false
}

type decoder struct {
	scanner
	event *Event
	// where is the field that is being read, for faults.
	where string
	found Violations
	// attrs holds the attributes that are there.
	attrs   [attrCount]string
	present [attrCount]bool
	total   int
	// lenient leaves out the rules that are newer than events that are stored.
	lenient bool
	// base64 is the attribute data_base64, if it is there.
	base64  string
	hasData bool // data is there and is not null
	// members are the members of data but for the external key and the custom fields; whole says that data becomes one variable.
	members []datum
	whole   bool
}

// Decode reads a CloudEvent 1.0 in structured JSON and reports every fault at once. The event is never nil: if there are
// violations it holds what could be read safely, for the record alone, and the fields at fault are empty.
//
// Decode knows neither clock nor catalogue nor credentials: an absent time stays zero (see WithTime), time range and type are for
// Check; Appliance is the source and Type the type as sent, if they can be one, else empty.
// Nor does it bound the size, which is MaxSize at intake. It keeps raw as the event's Raw: do not change it afterwards.
//
// The members of data become variables, flattened: a string as it is; a number as it is written, no digit lost; a boolean as
// true or false; null as the empty text; an object's members with dotted names (`a.b`), an empty object as the empty text; an
// array as JSON text without blanks. Data that is no object, and an object that can't be flattened (two members that flatten to one
// name, names that no variable can have, more than MaxVariables), become one variable, `data`. A name that came twice in an object
// is refused.
func Decode(raw []byte) (*Event, Violations) { return decode(raw, false) }

// Stored reads an event that was accepted: that of an appliance, under a type of the catalogue; either may be empty if it is the
// one that the event itself names. It takes what earlier versions took.
func Stored(raw []byte, appliance, eventType string) (*Event, Violations) {
	e, found := decode(raw, true)
	if appliance != "" {
		e.Appliance = appliance
	}
	if eventType != "" {
		e.Type = eventType
	}
	return e, found
}

func decode(raw []byte, lenient bool) (*Event, Violations) {
	d := &decoder{event: &Event{Raw: raw}, lenient: lenient}
	d.text = string(raw)
	d.twice = func(name string) {
		d.add(join(d.where, name), ReasonDuplicate, "is a duplicate name in an object: send it once")
	}
	if !utf8.ValidString(d.text) {
		d.add("", ReasonInvalidUTF8, fmt.Sprintf("is not UTF-8 at byte %d: encode the event in UTF-8", invalidAt(d.text)))
	}
	if d.document() {
		d.checkAttributes()
		d.readBase64()
		d.sortVariables()
	}
	if d.fatal != nil {
		d.add(d.where, d.fatal.Reason, d.fatal.Description)
	}
	return d.event, d.found
}

func invalidAt(s string) int {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return len(s)
}

func join(where, name string) string {
	if where == "" {
		return name
	}
	return where + "." + name
}

// add notes a fault, at most maxViolations of them.
func (d *decoder) add(field, reason, description string) {
	switch {
	case len(d.found) < maxViolations:
		d.found = append(d.found, Violation{Field: clip(field, MaxNameLength), Reason: reason, Description: description})
	case len(d.found) == maxViolations:
		d.found = append(d.found, Violation{Reason: ReasonTooMany, Description: "has more errors than are listed: fix these first"})
	}
}

// clip cuts a text to n characters and makes it valid.
func clip(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "�")
	}
	count := 0
	for i := range s {
		if count++; count > n {
			return strings.ToValidUTF8(s[:i], "�") + "…"
		}
	}
	return strings.ToValidUTF8(s, "�")
}

// document reads the whole text. False means that the rest could not be read, or is no event.
func (d *decoder) document() bool {
	if k := d.peek(); k != kindObject {
		if k != kindNone && d.skip(k) {
			d.add("", ReasonWrongType, fmt.Sprintf("is %s: send the event as a JSON object", k))
		}
		return false
	}
	if !d.object(d.attribute) {
		return false
	}
	if d.blanks(); d.at < len(d.text) {
		return d.fail("%s after the event's end", shown(d.text[d.at:]))
	}
	return true
}

func (d *decoder) attribute(name string) bool {
	if name != attrTime.String() {
		d.total++
	}
	if d.total > MaxAttributes {
		d.fatal = &Violation{Reason: ReasonTooMany,
			Description: fmt.Sprintf("has more than %d attributes: put variables into data", MaxAttributes)}
		return false
	}
	d.where = name
	ok := d.attributeValue(name)
	if ok {
		d.checkHalf(name)
		d.where = ""
	}
	return ok
}

func (d *decoder) attributeValue(name string) bool {
	k := d.peek()
	switch name {
	case "data":
		return d.data(k)
	case "data_base64":
		return d.binary(k)
	}
	a, ok := attributeOf(name)
	if !ok {
		d.checkExtension(name)
	}
	if !ok || k == kindNull {
		return d.skip(k)
	}
	d.present[a] = true
	if k != kindString {
		d.add(name, ReasonWrongType, fmt.Sprintf("is %s: send a string", k))
		return d.skip(k)
	}
	d.attrs[a], ok = d.str()
	if d.attrs[a] == "" && ok && (a == attrTime || a == attrContentType || a == attrSchema && !d.lenient) {
		d.add(name, ReasonMissing, "is empty: remove it or set a value")
	}
	return ok
}

// checkHalf reports half a surrogate pair in the field just read.
func (d *decoder) checkHalf(field string) {
	if d.half {
		d.half = false
		d.add(field, ReasonInvalidUTF8, `has half of a surrogate pair (\ud800 to \udfff) which is not a character: send both halves`)
	}
}

// sortVariables puts names in order. Data whose members can't be variables, or of which two flattened to one name, becomes one
// variable.
func (d *decoder) sortVariables() {
	byName := func(a, b Variable) int { return strings.Compare(a.Name, b.Name) }
	slices.SortStableFunc(d.event.Custom, byName)
	slices.SortStableFunc(d.event.Variables, byName)
	vs := d.event.Variables
	for i := 1; i < len(vs); i++ {
		d.whole = d.whole || vs[i].Name == vs[i-1].Name
	}
	if d.whole {
		d.event.Variables = []Variable{{Name: wholeData, Value: d.wholeText()}}
	}
}

// parseTime reads RFC 3339: the T and the Z may be lower case and the second may be a leap second (5.6, 5.7). The standard library's
// reading is laxer elsewhere: it takes a comma for the point, an hour of one digit and any offset.
func parseTime(s string) (time.Time, error) {
	const upToSeconds = len("2006-01-02T15:04:05")
	text, leap := strings.ToUpper(s), time.Duration(0)
	if len(text) > upToSeconds && text[upToSeconds-3:upToSeconds] == ":60" {
		text, leap = text[:upToSeconds-2]+"59"+text[upToSeconds:], time.Second
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, err
	}
	if len(s) <= upToSeconds || s[len("2006-01-02T15")] != ':' || strings.Contains(s, ",") {
		return time.Time{}, fmt.Errorf("parse %q: not as in RFC 3339", s)
	}
	if _, offset := t.Zone(); offset <= -24*3600 || offset >= 24*3600 {
		return time.Time{}, fmt.Errorf("parse %q: the offset is out of range", s)
	}
	if u := t.UTC(); leap > 0 && (u.Minute() != 59 || u.Hour() != 23) {
		return time.Time{}, fmt.Errorf("parse %q: a leap second is at 23:59:60 UTC alone", s)
	}
	return t.Add(leap), nil
}
