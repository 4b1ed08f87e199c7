// Package addresses keeps what has become of a delivery at each address of an email recipient.
package addresses

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// List is what has become of the addresses of an email recipient in a delivery. It is the progress in the delivery's records,
// so it names addresses by hash alone.
type List struct {
	// Done are those the relay accepted the mail for.
	Done []string `json:"done,omitempty"`
	// Refused are those it refused for good, Deferred those it put off when it was last asked, each with its code.
	Refused  map[string]int `json:"refused,omitempty"`
	Deferred map[string]int `json:"deferred,omitempty"`
}

// Read reads what an earlier attempt left. What can't be read counts as nothing done: a second mail is better than none.
func Read(progress json.RawMessage) List {
	var a List
	if len(progress) > 0 && json.Unmarshal(progress, &a) != nil {
		a = List{}
	}
	if a.Refused == nil {
		a.Refused = map[string]int{}
	}
	if a.Deferred == nil {
		a.Deferred = map[string]int{}
	}
	return a
}

// Write is the progress as it is kept.
func (a List) Write() json.RawMessage {
	raw, err := json.Marshal(a)
	if err != nil { // impossible: texts and numbers
		return nil
	}
	return raw
}

// Hash names an address of a recipient in its records.
func Hash(recipientID, address string) string {
	h := sha256.Sum256([]byte(recipientID + "/" + strings.ToLower(address)))
	return hex.EncodeToString(h[:8])
}

// State is what has become of a delivery at one address.
type State string

// The states of an address.
const (
	Accepted State = "ACCEPTED"
	Refused  State = "REFUSED"
	Deferred State = "DEFERRED"
	Waiting  State = "WAITING"
)

// Outcome is what has become of a delivery at one address.
type Outcome struct {
	Address string
	State   State
	// Code is the relay's, for one that was refused or put off.
	Code int
}

// Of is what has become of each address that a recipient has now, in its order.
func (a List) Of(recipientID string, addresses []string) []Outcome {
	done := make(map[string]bool, len(a.Done))
	for _, h := range a.Done {
		done[h] = true
	}
	out := make([]Outcome, len(addresses))
	for i, address := range addresses {
		h := Hash(recipientID, address)
		out[i] = Outcome{Address: address, State: Waiting}
		refused, isRefused := a.Refused[h]
		deferred, isDeferred := a.Deferred[h]
		switch {
		case done[h]:
			out[i].State = Accepted
		case isRefused:
			out[i].State, out[i].Code = Refused, refused
		case isDeferred:
			out[i].State, out[i].Code = Deferred, deferred
		}
	}
	return out
}
