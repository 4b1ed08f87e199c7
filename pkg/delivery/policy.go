package delivery

import (
	"fmt"
	"math"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// stateOf is the one table from verdicts to states. A Postpone has none: the delivery stays what it was.
func stateOf(v Verdict) State {
	switch v.Kind {
	case Delivered:
		return StateDelivered
	case Retry:
		return StateRetrying
	case Drop:
		switch v.Reason {
		case reasons.Expired:
			return StateExpired
		case reasons.Deleted, reasons.Purged, reasons.Cancelled, reasons.Backlog:
			return StateCancelled
		case reasons.TypeUnwanted, reasons.ApplianceOut, reasons.NoExternalKey, reasons.Disabled, reasons.FilterFalse, reasons.FilterError:
			return StateSkipped
		default:
			return StateRejected
		}
	case Postpone:
		return ""
	default:
		return ""
	}
}

// match says whether a recipient, as it is now, is to get a message that waits for it: nil if so, else a Drop or Postpone. A
// replay or test was asked for by name, so what the recipient selects does not matter to it.
func match(r *recipient.Recipient, m Message) *Verdict {
	if v := emptied(r, m.Sequence); v != nil {
		return v
	}
	replay := m.ReplayID != ""
	if !replay && r.DisabledAt(m.Stored) {
		return &Verdict{Kind: Drop, Reason: reasons.Disabled}
	}
	if !replay {
		if v := Unselected(r, m.Event); v != nil {
			return v
		}
	}
	// A queue that holds is let go while it is emptied; what comes behind waits on, replays with the rest.
	if !r.Enabled && (!replay || r.WhileDisabled == recipient.Hold) {
		return &Verdict{Kind: Postpone, Reason: reasons.Disabled, After: disabledWait}
	}
	return nil
}

// emptied says whether what waits at a sequence of the recipient's queue ends without an attempt, when it is due or before.
func emptied(r *recipient.Recipient, sequence uint64) *Verdict {
	switch {
	case r.Deleting:
		return &Verdict{Kind: Drop, Reason: reasons.Deleted}
	case sequence == 0:
		return nil // nobody asks about a message
	case sequence <= r.PurgedThrough:
		return &Verdict{Kind: Drop, Reason: reasons.Purged}
	case sequence <= r.BacklogThrough:
		return &Verdict{Kind: Drop, Reason: reasons.Backlog}
	default:
		return nil
	}
}

// Unselected returns why a recipient, as it is now, does not select an event, apart from its filter; nil if it does.
func Unselected(r *recipient.Recipient, e *event.Event) *Verdict {
	switch {
	case !r.WantsType(e.Type):
		return &Verdict{Kind: Drop, Reason: reasons.TypeUnwanted}
	case !r.WantsAppliance(e.Appliance):
		return &Verdict{Kind: Drop, Reason: reasons.ApplianceOut}
	case e.ExternalKey == "" && r.Target().NeedsExternalKey():
		return &Verdict{Kind: Drop, Reason: reasons.NoExternalKey}
	default:
		return nil
	}
}

// disabledWait is how long a delivery accepted before its recipient was disabled is put off at a time.
const disabledWait = 15 * time.Second

// bound holds a verdict against the retry duration: a Retry's wait is set and never reaches beyond the end, so that the
// last attempt falls on it; after the end a Retry is a Drop. jitter is from -1 to 1.
func bound(v Verdict, d *Delivery, now time.Time, jitter float64) Verdict {
	if v.Kind != Retry {
		return v
	}
	left := d.Expire().Sub(now)
	if left <= 0 {
		detail := string(v.Reason)
		if v.Detail != "" {
			detail = v.Detail
		}
		return Verdict{Kind: Drop, Reason: reasons.Expired,
			Detail: fmt.Sprintf("not delivered within %s; last error: %s", d.Recipient.Retry.Duration, detail)}
	}
	wait := interval(d.Recipient.Retry, d.Attempt)
	wait += time.Duration(float64(wait) * maxJitter * jitter)
	v.After = max(min(max(wait, v.After), left), minWait)
	return v
}

// maxJitter is how far a wait may be from the recipient's interval, as a part of it.
const maxJitter = 0.1

// minWait keeps a redelivery from being immediate, which the broker would take as "at once, and again".
const minWait = 10 * time.Millisecond

// interval is the wait after an attempt.
func interval(r recipient.Retry, attempt int) time.Duration {
	if r.Multiplier <= 1 {
		return r.Interval
	}
	f := float64(r.Interval) * math.Pow(r.Multiplier, float64(attempt-1))
	return time.Duration(min(f, float64(max(r.Ceiling, r.Interval))))
}
