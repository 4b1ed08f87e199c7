package delivery

import (
	"slices"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// StatesWith are the states that records with a reason may have, so that a search for it need not look at others; nil: any.
func StatesWith(r Reason) []State {
	switch ended := stateOf(Verdict{Kind: Drop, Reason: r}); {
	case r == ReasonOK:
		return []State{StateDelivered}
	case ended != StateRejected:
		return []State{ended}
	case slices.Contains([]Class{ClassOK, ClassOther}, ClassOf(r, 0)):
		return nil
	default:
		return []State{StateRetrying, StateRejected}
	}
}

// StatesIn are the states that records of a class of reasons may have; nil: any.
func StatesIn(c Class) []State {
	switch c {
	case ClassNotWanted:
		return []State{StateSkipped}
	case ClassExpired:
		return []State{StateExpired}
	case ClassCancelled:
		return []State{StateCancelled}
	case ClassOK, ClassOther:
		return nil
	case ClassNetwork, ClassTLS, ClassTimeout, ClassHTTP4xx, ClassHTTP5xx, ClassHTTPOther, ClassSMTPDeferred, ClassSMTPRefused, ClassAuth,
		ClassEgress, ClassRender:
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
