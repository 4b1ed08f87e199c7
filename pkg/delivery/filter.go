package delivery

import (
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// filtered says whether an event stops at the recipient's filter: nil if it passes. What the filter can't judge is not sent:
// an event too few can be replayed, one too many can't be taken back.
func filtered(r *recipient.Recipient, e *event.Event, matches func(*recipient.Recipient, *event.Event) (bool, error)) *Verdict {
	if r.Filter == "" {
		return nil
	}
	if matches == nil {
		return &Verdict{Kind: Drop, Reason: reasons.FilterError, Detail: "this sender does not support filters: upgrade it"}
	}
	switch pass, err := matches(r, e); {
	case err != nil:
		return &Verdict{Kind: Drop, Reason: reasons.FilterError, Detail: "the filter can't be evaluated: " + err.Error()}
	case !pass:
		return &Verdict{Kind: Drop, Reason: reasons.FilterFalse}
	default:
		return nil
	}
}
