package delivery

import (
	"slices"

	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
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
	case slices.Contains([]reasonclass.Class{reasonclass.OK, reasonclass.Other}, reasonclass.Of(r, 0)):
		return nil
	default:
		return []State{StateRetrying, StateRejected}
	}
}

// StatesIn are the states that records of a class of reasons may have; nil: any.
func StatesIn(c reasonclass.Class) []State {
	switch c {
	case reasonclass.NotWanted:
		return []State{StateSkipped}
	case reasonclass.Expired:
		return []State{StateExpired}
	case reasonclass.Cancelled:
		return []State{StateCancelled}
	case reasonclass.OK, reasonclass.Other:
		return nil
	case reasonclass.Network, reasonclass.TLS, reasonclass.Timeout, reasonclass.HTTP4xx, reasonclass.HTTP5xx, reasonclass.HTTPOther,
		reasonclass.SMTPDeferred, reasonclass.SMTPRefused, reasonclass.Auth,
		reasonclass.Egress, reasonclass.Render:
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
