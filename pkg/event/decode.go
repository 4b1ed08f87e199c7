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
	// MaxIDLength of the attribute id.
	MaxIDLength = 128
	// MaxApplianceLength of the attribute source.
	MaxApplianceLength = 64
	// MaxTypeLength of the attribute type.
	MaxTypeLength = 64
	// MaxSessionLength of the attribute subject.
	MaxSessionLength = 64
	// MaxTextLength of the external key and of a custom field's value, in characters.
	MaxTextLength = 1024
	// MaxNameLength of a variable's flattened name, in characters.
	MaxNameLength = 256
	// MaxCustomFields an event may have values for.
	MaxCustomFields = 30
	// MaxVariables an event may have once flattened, custom fields apart.
	MaxVariables = 1000
	// MaxDepth of nested objects and arrays; the event itself is the first.
	MaxDepth = 8
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
	attrCount
)

func (a attribute) String() string {
	return [...]string{"specversion", "id", "source", "type", "time", "subject", "datacontenttype"}[a]
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
	tooMany bool
}

// Decode reads a CloudEvent 1.0 in structured JSON and reports every fault at once. The event is never nil: if there are
// violations it holds what could be read safely, for the record alone, and the fields at fault are empty.
//
// Decode knows neither clock nor catalogue: an absent time stays zero (see WithTime), and time range and type are for Check.
// Nor does it bound the size, which is MaxSize at intake. It keeps raw as the event's Raw: do not change it afterwards.
//
// The members of data become variables, flattened: a string as it is; a number as it is written, no digit lost; a boolean as
// true or false; null as the empty text; an object's members with dotted names (`a.b`), an empty object as the empty text; an
// array as JSON text without blanks. Two members that flatten to one name are refused, and so is a name that came twice.
func Decode(raw []byte) (*Event, Violations) {
	d := &decoder{event: &Event{Raw: raw}}
	d.text = string(raw)
	d.twice = func(name string) {
		d.add(join(d.where, name), ReasonDuplicate, "is a duplicate name in an object: send it once")
	}
	if !utf8.ValidString(d.text) {
		d.add("", ReasonInvalidUTF8, fmt.Sprintf("is not UTF-8 at byte %d: encode the event in UTF-8", invalidAt(d.text)))
	}
	if d.document() {
		d.checkAttributes()
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
		if k != kindNull {
			d.add(name, ReasonUnsupported, "holds binary data, which has no variables: send an object as data")
		}
		return d.skip(k)
	}
	a, ok := attributeOf(name)
	if !ok || k == kindNull {
		return d.skip(k)
	}
	d.present[a] = true
	if k != kindString {
		d.add(name, ReasonWrongType, fmt.Sprintf("is %s: send a string", k))
		return d.skip(k)
	}
	d.attrs[a], ok = d.str()
	if d.attrs[a] == "" && ok && (a == attrTime || a == attrContentType) {
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

// sortVariables puts names in order and refuses what flattened to one name.
func (d *decoder) sortVariables() {
	byName := func(a, b Variable) int { return strings.Compare(a.Name, b.Name) }
	slices.SortStableFunc(d.event.Custom, byName)
	slices.SortStableFunc(d.event.Variables, byName)
	vs := d.event.Variables
	for i := 1; i < len(vs); i++ {
		if vs[i].Name == vs[i-1].Name && strings.Contains(vs[i].Name, ".") {
			d.add("data."+vs[i].Name, ReasonDuplicate, "is the name of two variables once nested names are joined by dots: rename one")
		}
	}
}

// parseTime reads RFC 3339. The standard library's reading is laxer: it takes a comma for the point, an hour of one digit and
// any offset.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, err
	}
	if len(s) < len("2006-01-02T15:04:05Z") || s[len("2006-01-02T15")] != ':' || strings.Contains(s, ",") {
		return time.Time{}, fmt.Errorf("parse %q: not as in RFC 3339", s)
	}
	if _, offset := t.Zone(); offset <= -24*3600 || offset >= 24*3600 {
		return time.Time{}, fmt.Errorf("parse %q: the offset is out of range", s)
	}
	return t, nil
}
