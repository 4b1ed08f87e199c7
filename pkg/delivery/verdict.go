package delivery

import (
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// VerdictKind is what is to become of a delivery after an attempt, or instead of one.
type VerdictKind int

// The verdicts.
const (
	// Delivered ends it: the recipient has it.
	Delivered VerdictKind = iota + 1
	// Retry tries again after the recipient's interval.
	Retry
	// Postpone puts it off for reasons of our own; nothing has left the process, and it does not count as an attempt.
	Postpone
	// Drop ends it for a reason.
	Drop
)

// Verdict is what is to become of a delivery, and why.
type Verdict struct {
	Kind   VerdictKind
	Reason reasons.Reason
	// Detail says why in words; may be empty.
	Detail string
	// After is the wait of a Retry (0: the recipient's own interval) or a Postpone.
	After time.Duration
	// Pause, of a Retry, is how long nothing is to be sent to the recipient, whatever the event: it asked for that (RFC 9110, 10.2.3).
	Pause time.Duration
}

// State is what a delivery has come to.
type State string

// The states, as they stand in history's subjects.
const (
	StateWaiting   State = "WAITING"
	StateRetrying  State = "RETRYING"
	StateDelivered State = "DELIVERED"
	StateExpired   State = "EXPIRED"
	StateRejected  State = "REJECTED"
	StateSkipped   State = "SKIPPED"
	StateCancelled State = "CANCELLED"
)

// Final reports whether nothing comes after s.
func (s State) Final() bool { return s != StateWaiting && s != StateRetrying }
