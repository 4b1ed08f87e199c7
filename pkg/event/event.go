// Package event knows what an event is: its envelope on the wire (CloudEvents 1.0), its variables, the catalogue of
// event types, and what makes an event unacceptable.
package event

import (
	"strings"
	"time"
)

// MaxSize is the most bytes an event may have on the wire, its envelope included.
const MaxSize = 256 << 10

// SchemaVersion is the value of the variable `version`: the version of the set of variables, raised when it changes.
const SchemaVersion = "1"

// Event is something that happened on an appliance. It does not change once decoded, so that many goroutines may read it.
type Event struct {
	// ID is unique among the events of one appliance: the Token of the CloudEvents id, as keys and subjects have it.
	ID string
	// SentID is the CloudEvents id as it was sent. It differs from ID if it has characters that subjects can't have.
	SentID string
	// Appliance is who published it: by its credentials or the subject, else the CloudEvents source.
	Appliance string
	// Source is the CloudEvents source as it was sent, a URI reference.
	Source string
	// Type is an identifier of the catalogue.
	Type string
	// SentType is the CloudEvents type as it was sent. It differs from Type if that is found by an alias.
	SentType string
	// Time is when it happened, by the appliance's clock.
	Time time.Time
	// Session is the CloudEvents subject, the appliance's `lsid`; may be empty, and any text.
	Session string
	// ExternalKey is the session's ticket key when the event happened; may be empty.
	ExternalKey string
	// Custom holds the values of custom fields by code name, sorted.
	Custom []Variable
	// Variables holds the event's own variables, flattened, sorted by name. See Decode for how nested data is flattened.
	Variables []Variable
	// Raw is the whole event as structured CloudEvents JSON, to the byte as it is stored and sent.
	Raw []byte
}

// Variable is a name and its value as text.
type Variable struct {
	Name  string
	Value string
}

// Key is what identifies an event beyond its appliance: `<appliance>~<event id>`. It is the eventId of the API and the
// webhook-id on the wire.
func (e *Event) Key() string { return Key(e.Appliance, e.ID) }

// Key joins an appliance and the token of an event's id. Neither may hold a tilde, so the key can be split again.
func Key(appliance, id string) string { return appliance + "~" + id }

// SplitKey takes a key apart; ok is false if it is not one.
func SplitKey(key string) (appliance, id string, ok bool) {
	appliance, id, ok = strings.Cut(key, "~")
	return appliance, id, ok && appliance != "" && id != "" && !strings.Contains(id, "~")
}
