package changes

import (
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
)

// settlement is what the broker does with a delivery's message once its change is recorded.
type settlement int

// The settlements.
const (
	// stays leaves the message as it is.
	stays settlement = iota + 1
	// comesNow redelivers the message at once.
	comesNow
	// ends acknowledges the message.
	ends
	// expedites leaves the message, and makes the sender try it though the recipient's breaker is open.
	expedites
)

// changeFunc changes the newest record of a delivery, which is not final; or it returns, as a sentence, why it changes nothing.
type changeFunc func(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string)

// sendNow makes a delivery due, but not in a maintenance window.
func sendNow(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	if b, open := r.InMaintenance(now); open {
		return rec, 0, "the recipient is in maintenance until " + maintenance.TimeIn(b.End, now, b.Zone) + ": the delivery continues then"
	}
	return attemptNow(r, rec, now)
}

// attemptInMaintenance makes a delivery due in a maintenance window, in which no sender takes what is not marked so.
func attemptInMaintenance(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	if far(rec, now) {
		return attemptNow(r, rec, now)
	}
	rec.Reason, rec.Detail, rec.NextAttempt = reasons.SendNow, "next attempt requested now", &now
	return rec, expedites, ""
}

// attemptNow leaves alone what a sender may have taken: redelivering that would be a second attempt.
func attemptNow(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	switch {
	case !r.Enabled && (rec.ReplayID == "" || r.WhileDisabled == recipient.Hold):
		return rec, 0, "the recipient is disabled: enable it first"
	case !far(rec, now):
		return rec, expedites, "the next attempt is already due and will be made shortly"
	}
	rec.Reason, rec.Detail, rec.NextAttempt = reasons.SendNow, "next attempt requested now", &now
	return rec, comesNow, ""
}

// leavesEarly is how long before EVENTS drops a message its delivery ends at the latest.
const leavesEarly = time.Hour

// extend lengthens a delivery, as far as its event is stored.
func extend(rec delivery.Record, now time.Time, by time.Duration) (delivery.Record, settlement, string) {
	end := now.Add(by)
	if last := rec.Accepted.Add(bus.EventsKept - leavesEarly); end.After(last) {
		end = last
	}
	if !end.After(rec.Expire) {
		return rec, 0, fmt.Sprintf("it already expires at %s, which is not before the requested time or the end of retention",
			rec.Expire.UTC().Format(time.RFC3339))
	}
	rec.Reason, rec.Detail = reasons.Extended, "expires at "+end.UTC().Format(time.RFC3339)
	rec.Expire, rec.Extended = end, &end
	return rec, stays, ""
}

// cancelled ends a delivery that waits for its next attempt. One that a sender may have taken is marked, and the sender ends it: else
// it could be delivered and recorded as cancelled.
func cancelled(_ *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	if rec.CancelAsked {
		return rec, 0, "cancellation is already requested"
	}
	rec.Reason, rec.Detail = reasons.Cancelled, "cancelled by an operator"
	if !far(rec, now) {
		rec.CancelAsked = true
		return rec, stays, ""
	}
	rec.State, rec.NextAttempt = delivery.StateCancelled, nil
	return rec, ends, ""
}

// far reports whether a delivery's next attempt is so far away that no sender has taken its message.
func far(rec delivery.Record, now time.Time) bool {
	return rec.NextAttempt != nil && rec.NextAttempt.After(now.Add(queue.Settled))
}
