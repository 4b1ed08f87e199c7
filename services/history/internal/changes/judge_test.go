package changes_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/services/history/internal/changes"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// retrying is the newest record of a delivery whose next attempt is due at a time.
func retrying(next time.Time) delivery.Record {
	return delivery.Record{
		Recipient: "r1", EventID: "e-1", Appliance: "a1", State: delivery.StateRetrying, Attempt: 2,
		Accepted: now.Add(-time.Hour), Expire: now.Add(time.Hour), NextAttempt: &next,
	}
}

func TestOnlyWhatNoSenderHasIsSentNow(t *testing.T) {
	replayed := retrying(now.Add(time.Minute))
	replayed.ReplayID = "R1"
	skips, holds := &recipient.Recipient{WhileDisabled: recipient.Skip}, &recipient.Recipient{WhileDisabled: recipient.Hold}
	for name, c := range map[string]struct {
		r                  *recipient.Recipient
		rec                delivery.Record
		changed, expedites bool
	}{
		"the next attempt is far":                   {&recipient.Recipient{Enabled: true}, retrying(now.Add(time.Minute)), true, false},
		"the next attempt is due":                   {&recipient.Recipient{Enabled: true}, retrying(now), false, true},
		"the next attempt is due in a moment":       {&recipient.Recipient{Enabled: true}, retrying(now.Add(queue.Settled / 2)), false, true},
		"the recipient is disabled":                 {skips, retrying(now.Add(time.Minute)), false, false},
		"a replay to a recipient that skips events": {skips, replayed, true, false},
		"a replay to a recipient that holds events": {holds, replayed, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, settlement, why := changes.JudgeSendNow(c.r, c.rec, now)
			isNow, expedites := settlement == changes.ComesNow, settlement == changes.Expedites
			if (why == "") != c.changed || isNow != c.changed || expedites != c.expedites {
				t.Fatalf("settlement %d, because %q", settlement, why)
			}
			if c.changed && (got.Reason != reasons.SendNow || !got.NextAttempt.Equal(now)) {
				t.Errorf("recorded as %+v", got)
			}
		})
	}
}

func TestADeliveryIsExtendedAsFarAsItsEventIsKept(t *testing.T) {
	rec := retrying(now.Add(time.Minute))
	got, settlement, why := changes.JudgeExtend(rec, now, 2*time.Hour)
	if why != "" || settlement != changes.Stays || !got.Expire.Equal(now.Add(2*time.Hour)) || got.Extended == nil ||
		got.Reason != reasons.Extended {
		t.Errorf("extended to %+v, settlement %d, because %q", got, settlement, why)
	}
	kept := rec.Accepted.Add(bus.EventsKept)
	if got, _, why := changes.JudgeExtend(rec, now, 1000*time.Hour); why != "" || !got.Expire.Before(kept) ||
		got.Expire.Before(kept.Add(-2*time.Hour)) {
		t.Errorf("extended until %v, because %q; the event is kept until %v", got.Expire, why, kept)
	}
	if got, _, why := changes.JudgeExtend(rec, now, time.Minute); why == "" || !got.Expire.Equal(rec.Expire) {
		t.Errorf("shortened to %v", got.Expire)
	}
}

func TestASenderEndsWhatItHasWhenItIsCancelled(t *testing.T) {
	got, settlement, why := changes.JudgeCancel(nil, retrying(now.Add(time.Minute)), now)
	if why != "" || settlement != changes.Ends || got.State != delivery.StateCancelled || got.NextAttempt != nil {
		t.Errorf("far from its next attempt: %+v, settlement %d, because %q", got, settlement, why)
	}
	got, settlement, why = changes.JudgeCancel(nil, retrying(now), now)
	if why != "" || settlement != changes.Stays || got.State != delivery.StateRetrying || !got.CancelAsked {
		t.Errorf("due: %+v, settlement %d, because %q", got, settlement, why)
	}
	if _, _, why = changes.JudgeCancel(nil, got, now); why == "" {
		t.Error("it is cancelled twice")
	}
}
