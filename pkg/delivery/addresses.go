package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// Addresses is what has become of the addresses of an email recipient in a delivery. It is the progress in the delivery's records,
// so it names addresses by hash alone.
type Addresses struct {
	// Done are those the relay accepted the mail for.
	Done []string `json:"done,omitempty"`
	// Refused are those it refused for good, Deferred those it put off when it was last asked, each with its code.
	Refused  map[string]int `json:"refused,omitempty"`
	Deferred map[string]int `json:"deferred,omitempty"`
}

// ReadAddresses reads what an earlier attempt left. What can't be read counts as nothing done: a second mail is better than none.
func ReadAddresses(progress json.RawMessage) Addresses {
	var a Addresses
	if len(progress) > 0 && json.Unmarshal(progress, &a) != nil {
		a = Addresses{}
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
func (a Addresses) Write() json.RawMessage {
	raw, err := json.Marshal(a)
	if err != nil { // impossible: texts and numbers
		return nil
	}
	return raw
}

// AddressHash names an address of a recipient in its records.
func AddressHash(recipientID, address string) string {
	h := sha256.Sum256([]byte(recipientID + "/" + strings.ToLower(address)))
	return hex.EncodeToString(h[:8])
}

// AddressState is what has become of a delivery at one address.
type AddressState string

// The states of an address.
const (
	AddressAccepted AddressState = "ACCEPTED"
	AddressRefused  AddressState = "REFUSED"
	AddressDeferred AddressState = "DEFERRED"
	AddressWaiting  AddressState = "WAITING"
)

// AddressOutcome is what has become of a delivery at one address.
type AddressOutcome struct {
	Address string
	State   AddressState
	// Code is the relay's, for one that was refused or put off.
	Code int
}

// Of is what has become of each address that a recipient has now, in its order.
func (a Addresses) Of(recipientID string, addresses []string) []AddressOutcome {
	done := make(map[string]bool, len(a.Done))
	for _, h := range a.Done {
		done[h] = true
	}
	out := make([]AddressOutcome, len(addresses))
	for i, address := range addresses {
		h := AddressHash(recipientID, address)
		out[i] = AddressOutcome{Address: address, State: AddressWaiting}
		refused, isRefused := a.Refused[h]
		deferred, isDeferred := a.Deferred[h]
		switch {
		case done[h]:
			out[i].State = AddressAccepted
		case isRefused:
			out[i].State, out[i].Code = AddressRefused, refused
		case isDeferred:
			out[i].State, out[i].Code = AddressDeferred, deferred
		}
	}
	return out
}
