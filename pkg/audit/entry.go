// Package audit holds the entries of the audit log: who did what, from where, and with which outcome. Each entry holds the hash of the one
// before, so that one that was removed or changed is found.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// The outcomes of entries.
const (
	// OK says that it was done.
	OK = "OK"
	// Denied says that the caller could not be identified, or may not do it.
	Denied = "DENIED"
	// Refused says that the call asks for what is not possible.
	Refused = "REFUSED"
	// Failed says that it was tried, and that it is not known whether all of it was done.
	Failed = "FAILED"
)

// Entry is one line of the audit log. Its JSON is what is hashed: fields are added at the end and never renamed.
type Entry struct {
	// Number counts the entries from 1.
	Number uint64 `json:"number"`
	// Previous is the hash of the entry before, PreviousTime its time. Both are empty in the first.
	Previous     string    `json:"previous"`
	PreviousTime time.Time `json:"previousTime,omitzero"`
	// Time is when it happened, by the broker's clock.
	Time time.Time `json:"time"`
	// Action is what was done, e.g. recipient.update.
	Action string `json:"action"`
	// Object is to what, e.g. recipients/crm; empty: to nothing in particular.
	Object string `json:"object,omitempty"`
	// Outcome is one of OK, DENIED, REFUSED, FAILED; Reason is the error's text.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// Actor is the user's name, `token <id>`, `admin` for the admin token, or `outbound`; Role is its role. Both are empty if nobody was
	// identified. Of a sign-in that failed, Actor is the name that was tried.
	Actor string `json:"actor,omitempty"`
	Role  string `json:"role,omitempty"`
	Origin
	// Changes are the fields that changed. Values are JSON; secrets are masked.
	Changes []Change `json:"changes,omitempty"`
	// Revisions name the revisions that were made.
	Revisions []Revision `json:"revisions,omitempty"`
	// Request is what was asked, in JSON, without secrets, where there are no changes.
	Request json.RawMessage `json:"request,omitempty"`
	// LeftOut is how many entries of denied and refused calls before this one were left out, because there were too many.
	LeftOut uint64 `json:"leftOut,omitempty"`
}

// Origin is where a call came from.
type Origin struct {
	// Address is the client's IP address, Agent what the client says of itself.
	Address string `json:"address,omitempty"`
	Agent   string `json:"agent,omitempty"`
	// Via is how it came: console, rest, cli, grpc, or local for what a process did by itself.
	Via string `json:"via,omitempty"`
}

// Change is one field.
type Change struct {
	Resource string `json:"resource,omitempty"`
	Path     string `json:"path"`
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`
}

// Revision is a change as the list of revisions has it.
type Revision struct {
	Resource string `json:"resource"`
	Revision uint64 `json:"revision"`
}

// Stored is an entry as it is stored: the bytes that are hashed, and their hash.
type Stored struct {
	Entry
	// Raw is the entry's JSON.
	Raw []byte
	// Hash is the hash that was stored with it.
	Hash string
	// Sequence is where the broker keeps it; in a file the line.
	Sequence uint64
}

// Head is the newest entry, as far as the next one needs it. The zero value is before the first.
type Head struct {
	Number   uint64    `json:"number"`
	Hash     string    `json:"hash"`
	Time     time.Time `json:"time"`
	Sequence uint64    `json:"sequence"`
}

// Seal makes an entry the next one after a head.
func Seal(e Entry, head Head) (Stored, error) {
	e.Number, e.Previous, e.PreviousTime = head.Number+1, head.Hash, head.Time
	e.Time = e.Time.UTC()
	raw, err := json.Marshal(e)
	if err != nil {
		return Stored{}, fmt.Errorf("encode the audit entry of %s: %w", e.Action, err)
	}
	return Stored{Entry: e, Raw: raw, Hash: Hash(raw)}, nil
}

// Hash is the SHA-256 of an entry's bytes, which hold the hash of the entry before, in hexadecimal.
func Hash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Open reads a stored entry.
func Open(raw []byte, hash string, sequence uint64) (Stored, error) {
	s := Stored{Raw: raw, Hash: hash, Sequence: sequence}
	if err := json.Unmarshal(raw, &s.Entry); err != nil {
		return s, fmt.Errorf("read audit entry %d: %w", sequence, err)
	}
	return s, nil
}

// Head is what the next entry needs of this one.
func (s Stored) Head() Head {
	return Head{Number: s.Number, Hash: s.Hash, Time: s.Time, Sequence: s.Sequence}
}
