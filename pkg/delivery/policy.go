package delivery

import (
	"fmt"
	"math"
	"time"

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
		case ReasonExpired:
			return StateExpired
		case ReasonDeleted, ReasonPurged, ReasonCancelled, ReasonBacklog:
			return StateCancelled
		case ReasonTypeUnwanted, ReasonApplianceOut, ReasonNoExternalKey, ReasonDisabled, ReasonFilterFalse, ReasonFilterError:
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

// match says whether a recipient, as it is now, is to get an event that waits for it: nil if so, else a Drop or Postpone. A
// replay or test was asked for by name, so what the recipient selects does not matter to it.
func match(r *recipient.Recipient, e *event.Event, accepted time.Time, replay bool) *Verdict {
	switch {
	case r.Deleting:
		return &Verdict{Kind: Drop, Reason: ReasonDeleted}
	case replay:
	case r.DisabledAt(accepted):
		return &Verdict{Kind: Drop, Reason: ReasonDisabled}
	case !r.WantsType(e.Type):
		return &Verdict{Kind: Drop, Reason: ReasonTypeUnwanted}
	case !r.WantsAppliance(e.Appliance):
		return &Verdict{Kind: Drop, Reason: ReasonApplianceOut}
	case r.Email != nil && r.Email.RequireExternalKey && e.ExternalKey == "":
		return &Verdict{Kind: Drop, Reason: ReasonNoExternalKey}
	}
	if !r.Enabled && !replay {
		return &Verdict{Kind: Postpone, Reason: ReasonDisabled, After: disabledWait}
	}
	return nil
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
		return Verdict{Kind: Drop, Reason: ReasonExpired, Detail: fmt.Sprintf("not delivered within %s; last: %s", d.Recipient.Retry.Duration, detail)}
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
