package event

import (
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/outbound-events/outbound/pkg/spelling"
)

// MaxAge is how long ago an event may have happened, and MaxAhead how far in the future by our clock.
const (
	MaxAge   = 8 * 24 * time.Hour
	MaxAhead = 10 * time.Minute
)

// tooLongAgo describes a time before MaxAge.
const tooLongAgo = "is more than 8 days ago: check the appliance's clock; older events are refused"

// checkAttributes checks the attributes and fills the event's fields with those that are sound.
func (d *decoder) checkAttributes() {
	if d.required(attrSpecVersion, `set it to "1.0"`) && d.attrs[attrSpecVersion] != "1.0" {
		d.add("specversion", ReasonUnsupported, `is not "1.0": send CloudEvents 1.0`)
	}
	if d.required(attrID, "give each event of an appliance a unique id") && d.sound(attrID) {
		d.event.SentID, d.event.ID = d.attrs[attrID], Token(d.attrs[attrID])
	}
	if d.required(attrSource, "set it to the appliance's id or another URI reference") && d.uri(attrSource) {
		d.event.Source = d.attrs[attrSource]
		if ValidAppliance(d.event.Source) {
			d.event.Appliance = d.event.Source
		}
	}
	if d.required(attrType, "set it to an event type of the catalogue") && d.sound(attrType) {
		d.event.SentType = d.attrs[attrType]
		if ValidType(d.event.SentType) {
			d.event.Type = d.event.SentType
		}
	}
	if d.attrs[attrSubject] != "" && d.sound(attrSubject) {
		d.event.Session = d.attrs[attrSubject]
	}
	if d.attrs[attrSchema] != "" && !d.lenient {
		d.uri(attrSchema)
	}
	if s := d.attrs[attrTime]; s != "" {
		t, err := parseTime(s)
		switch {
		case err != nil:
			d.add("time", ReasonUnsupported, "is not an RFC 3339 time: use e.g. 2026-11-21T10:00:00Z")
		case t.IsZero():
			// The event's zero time means that it has none, so this one is refused here: it is too long ago by any clock.
			d.add("time", ReasonTime, tooLongAgo)
		}
		d.event.Time = t
	}
	if s := d.attrs[attrContentType]; s != "" && !d.lenient && !isMediaType(s) {
		d.add("datacontenttype", ReasonUnsupported, "is not a media type: use e.g. application/json or text/plain; charset=utf-8")
	}
	if d.base64 != "" && d.hasData {
		d.add("data_base64", ReasonUnsupported, "is there beside data: send one of them")
	}
}

// isMediaType reports whether a text is a media type as RFC 2046 writes them, with parameters or without.
func isMediaType(s string) bool {
	if s == "application/json" {
		return true
	}
	media, _, err := mime.ParseMediaType(s)
	return err == nil && strings.Contains(media, "/")
}

// isJSON reports whether data of a content type is JSON (CloudEvents JSON format 1.0.2, 3.1): none is application/json.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}

// required reports whether an attribute has a value. If it is absent or empty, that is a fault; a value of the wrong JSON
// type has been reported already.
func (d *decoder) required(a attribute, remedy string) bool {
	if d.attrs[a] != "" {
		return true
	}
	if !d.present[a] {
		d.add(a.String(), ReasonMissing, "is missing: "+remedy)
		return false
	}
	if !slices.ContainsFunc(d.found, func(v Violation) bool { return v.Field == a.String() && v.Reason == ReasonWrongType }) {
		d.add(a.String(), ReasonMissing, "is empty: "+remedy)
	}
	return false
}

// sound reports whether an attribute is a text as CloudEvents has it (1.0.2, Type System, String), and adds a fault if it is not:
// no control characters and no Unicode noncharacters.
func (d *decoder) sound(a attribute) bool {
	if hasControl(d.attrs[a]) || strings.ContainsFunc(d.attrs[a], nonCharacter) {
		d.add(a.String(), ReasonUnsafe, "has control characters or Unicode noncharacters: remove them")
		return false
	}
	return true
}

func nonCharacter(r rune) bool { return r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe }

// uri reports whether an attribute is a URI reference (RFC 3986, 4.1), and adds a fault if it is not.
func (d *decoder) uri(a attribute) bool {
	s := d.attrs[a]
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte("\"<>\\^`{|}", s[i]) >= 0 {
			d.add(a.String(), ReasonUnsafe, "has characters that a URI reference can't have (RFC 3986): write them percent-encoded, e.g. %20")
			return false
		}
	}
	if isToken(s) {
		return true
	}
	if _, err := url.Parse(s); err != nil || strings.Count(s, "#") > 1 || !percentEncoded(s) {
		d.add(a.String(), ReasonUnsafe,
			"is not a URI reference (RFC 3986): use e.g. appliance-1, /devices/1, urn:example:device:1 or https://example.com/devices/1")
		return false
	}
	return true
}

// percentEncoded reports whether each % begins the encoding of a byte.
func percentEncoded(s string) bool {
	for i := strings.IndexByte(s, '%'); i >= 0; i = strings.IndexByte(s, '%') {
		if len(s) < i+3 || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return false
		}
		s = s[i+3:]
	}
	return true
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// checkExtension refuses the name of an extension that is not one (CloudEvents 1.0.2, Attribute Naming Convention).
func (d *decoder) checkExtension(name string) {
	if d.lenient {
		return
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			d.add(name, ReasonUnsafe, "is not the name of an attribute: use lower-case letters and digits alone")
			return
		}
	}
	if name == "" {
		d.add(name, ReasonUnsafe, "has an attribute with an empty name: name it, with lower-case letters and digits alone")
	}
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return s != ""
}

// ValidAppliance reports whether a text can be an appliance's id.
func ValidAppliance(id string) bool { return isToken(id) && len(id) <= MaxApplianceLength }

// ValidType reports whether a text can be an event type's identifier.
func ValidType(id string) bool { return isName(id) && len(id) <= MaxTypeLength }

// Check says whether a decoded event is acceptable now: its time must be near enough and its type known. An event without a
// time has no fault in it.
func (e *Event) Check(now time.Time, known func(typeID string) bool) Violations {
	found := e.CheckTime(now)
	if e.Type != "" && !known(e.Type) {
		var ids []string
		for _, t := range Catalogue() {
			if known(t.ID) {
				ids = append(ids, t.ID)
			}
		}
		found = append(found, UnknownType(e.Type, ids))
	}
	return found
}

// CheckTime says whether the event's time is within MaxAge and MaxAhead of now.
func (e *Event) CheckTime(now time.Time) Violations {
	if e.Time.IsZero() {
		return nil
	}
	switch age := now.Sub(e.Time); {
	case age > MaxAge:
		return Violations{{Field: "time", Reason: ReasonTime, Description: tooLongAgo}}
	case age < -MaxAhead:
		return Violations{{Field: "time", Reason: ReasonTime, Description: "is more than 10 minutes in the future: check the appliance's clock"}}
	default:
		return nil
	}
}

// UnknownType is the violation of a type that is not among the known ones; it names the nearest of them.
func UnknownType(id string, known []string) Violation {
	remedy := "see the event types for the known ones, create a custom type, or give a type this alias"
	// A suggestion differs in no more than a third of the letters.
	if near, ok := spelling.Nearest(id, known, utf8.RuneCountInString(id)/3+1); ok {
		remedy = "did you mean " + near + "? Or create it as a custom type"
	}
	return Violation{Field: "type", Reason: ReasonUnknownType,
		Description: fmt.Sprintf("%q is not a known event type: %s", clip(id, MaxTextLength), remedy)}
}
