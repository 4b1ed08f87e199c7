package event

import (
	"fmt"
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
	if d.required(attrID, "give each event of an appliance a unique id") {
		d.event.ID = d.token(attrID, MaxIDLength)
	}
	if d.required(attrSource, "set it to the appliance's id") {
		d.event.Appliance = d.token(attrSource, MaxApplianceLength)
	}
	if d.required(attrType, "set it to an event type of the catalogue") {
		d.event.Type = d.typeName()
	}
	if d.attrs[attrSubject] != "" {
		d.event.Session = d.token(attrSubject, MaxSessionLength)
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
	if s := d.attrs[attrContentType]; s != "" {
		media, _, _ := strings.Cut(s, ";")
		if !strings.EqualFold(strings.TrimSpace(media), "application/json") {
			d.add("datacontenttype", ReasonUnsupported, "is not application/json: send the data as a JSON object")
		}
	}
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

// token gives an attribute that is safe in subjects and keys, else reports it and gives nothing.
func (d *decoder) token(a attribute, most int) string {
	s := d.attrs[a]
	if !isToken(s) {
		d.add(a.String(), ReasonUnsafe, "has characters other than letters, digits, _ and -: use only these")
		return ""
	}
	if len(s) > most {
		d.add(a.String(), ReasonTooLong, fmt.Sprintf("has %d characters: the limit is %d", len(s), most))
		return ""
	}
	return s
}

func (d *decoder) typeName() string {
	s := d.attrs[attrType]
	if !isName(s) {
		d.add("type", ReasonUnsafe, "must be a lower-case letter, then lower-case letters, digits and underscores")
		return ""
	}
	if len(s) > MaxTypeLength {
		d.add("type", ReasonTooLong, fmt.Sprintf("has %d characters: the limit is %d", len(s), MaxTypeLength))
		return ""
	}
	return s
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
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

// ValidID reports whether a text can be an event's id.
func ValidID(id string) bool { return isToken(id) && len(id) <= MaxIDLength }

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
	remedy := "see the event types for the known ones, or create a custom type"
	// A suggestion differs in no more than a third of the letters.
	if near, ok := spelling.Nearest(id, known, utf8.RuneCountInString(id)/3+1); ok {
		remedy = "did you mean " + near + "? Or create it as a custom type"
	}
	return Violation{Field: "type", Reason: ReasonUnknownType, Description: fmt.Sprintf("%q is not a known event type: %s", id, remedy)}
}
