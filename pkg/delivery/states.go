package delivery

import (
	"slices"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// StatesWith are the states that records with a reason may have, so that a search for it need not look at others; nil: any.
func StatesWith(r reasons.Reason) []State {
	switch ended := stateOf(Verdict{Kind: Drop, Reason: r}); {
	case r == reasons.OK:
		return []State{StateDelivered}
	case ended != StateRejected:
		return []State{ended}
	case slices.Contains([]reasons.Class{reasons.ClassOK, reasons.ClassOther}, reasons.ClassOf(r, 0)):
		return nil
	default:
		return []State{StateRetrying, StateRejected}
	}
}

// StatesIn are the states that records of a class of reasons may have; nil: any.
func StatesIn(c reasons.Class) []State {
	switch c {
	case reasons.ClassNotWanted:
		return []State{StateSkipped}
	case reasons.ClassExpired:
		return []State{StateExpired}
	case reasons.ClassCancelled:
		return []State{StateCancelled}
	case reasons.ClassOK, reasons.ClassOther:
		return nil
	case reasons.ClassNetwork, reasons.ClassTLS, reasons.ClassTimeout, reasons.ClassHTTP4xx, reasons.ClassHTTP5xx, reasons.ClassHTTPOther,
		reasons.ClassSMTPDeferred, reasons.ClassSMTPRefused, reasons.ClassAuth,
		reasons.ClassEgress, reasons.ClassRender:
		return []State{StateRetrying, StateRejected}
	default:
		return nil
	}
}

// Unmatched says why a recipient, as it is now, does not get a message: nil if it does. It is the table that the engine uses, for
// whoever explains. A Postpone says that the recipient is disabled and the message waits.
func Unmatched(r *recipient.Recipient, m Message, matches func(*recipient.Recipient, *event.Event) (bool, error)) *Verdict {
	if v := match(r, m); v != nil {
		return v
	}
	return filtered(r, m.Event, matches)
}
