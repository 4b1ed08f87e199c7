package delivery_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestWhatStopsAtTheFilterIsSkippedWithItsReason(t *testing.T) {
	w := newFixture(t)
	w.matches = func(r *recipient.Recipient, e *event.Event) (bool, error) {
		if r.Filter != "not e-false" {
			t.Errorf("asked about the filter %q", r.Filter)
		}
		if e.ID == "e-error" {
			return false, errors.New("no such key: priority")
		}
		return e.ID != "e-false", nil
	}
	w.recipient("filtered", func(r *recipient.Recipient) { r.Filter = "not e-false" })
	w.recipient("open")
	w.run()
	w.publish("e-true", "e-false", "e-error")
	for id, want := range map[string]delivery.Record{
		"e-true":  {State: delivery.StateDelivered, Reason: reasons.OK, Attempt: 1},
		"e-false": {State: delivery.StateSkipped, Reason: reasons.FilterFalse},
		"e-error": {State: delivery.StateSkipped, Reason: reasons.FilterError, Detail: "the filter can't be evaluated: no such key: priority"},
	} {
		got := w.final("filtered", id, "")
		if got.State != want.State || got.Reason != want.Reason || got.Detail != want.Detail || got.Attempt != want.Attempt {
			t.Errorf("%s: recorded %+v", id, got)
		}
		if got := w.final("open", id, ""); got.State != delivery.StateDelivered {
			t.Errorf("%s stopped at a filter of another recipient: %+v", id, got)
		}
	}
	// A replay was asked for by name.
	if _, err := w.pub.Replay(t.Context(), "filtered", w.event("e-false"), bus.Replay{ID: "r1"}); err != nil {
		t.Fatal(err)
	}
	if got := w.final("filtered", "e-false", "r1"); got.State != delivery.StateDelivered {
		t.Errorf("the replay was recorded %+v", got)
	}
	if got := w.attempts("filtered"); !slices.Equal(got, []string{"e-true", "e-false"}) {
		t.Errorf("sent %q", got)
	}
}

func TestASenderWithoutFiltersSendsNothingThatHasOne(t *testing.T) {
	w := newFixture(t)
	w.recipient("filtered", func(r *recipient.Recipient) { r.Filter = "true" })
	w.run()
	w.publish("e-1")
	if got := w.final("filtered", "e-1", ""); got.State != delivery.StateSkipped || got.Reason != reasons.FilterError {
		t.Errorf("recorded %+v", got)
	}
}
