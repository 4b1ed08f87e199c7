package history_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestABreakerIsShownWithItsDeliveries(t *testing.T) {
	bad := httpRecipient("bad", "support_conference_end")
	h := newFixture(t, history.ExternalBroker, bad)
	h.attempted(h.accept("a1", "e-1"), "bad", "", 1, delivery.StateRetrying)
	h.accept("a1", "e-2")
	now := time.Now().UTC()
	since, probe := now.Add(-time.Hour), now.Add(10*time.Minute)
	st := health.Status{Health: health.Failing, Since: since, Reason: reasons.Connect, NextAttempt: now.Add(-time.Minute), BreakerOpen: true,
		BreakerSince: since, NextProbe: probe}
	revision := h.stands("bad", st, 0)

	of := func() *outboundv1.RecipientStatus {
		t.Helper()
		s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{RecipientId: "bad"})
		if err != nil || len(s.GetRecipients()) != 1 {
			t.Fatalf("%v, %v", s, err)
		}
		return s.GetRecipients()[0]
	}
	if s := of(); !s.GetBreakerOpen() || !s.GetBreakerSinceTime().AsTime().Equal(since) || !s.GetNextProbeTime().AsTime().Equal(probe) ||
		!s.GetNextAttemptTime().AsTime().Equal(probe) || s.GetProbeInterval().AsDuration() != 30*time.Second || s.GetQueuedEvents() != 2 {
		t.Errorf("the status is %v", s)
	}
	waiting := h.list(&outboundv1.ListDeliveriesRequest{RecipientId: "bad"}).GetDeliveries()
	waiting = append(waiting, h.list(&outboundv1.ListDeliveriesRequest{State: outboundv1.DeliveryState_WAITING}).GetDeliveries()...)
	one, err := h.deliveries.GetDelivery(t.Context(), &outboundv1.GetDeliveryRequest{RecipientId: "bad", EventId: "a1~e-1"})
	if err != nil || len(waiting) != 2 {
		t.Fatalf("%d deliveries are listed; %v", len(waiting), err)
	}
	e, err := h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: "a1~e-2"})
	if err != nil || len(e.GetDeliveries()) != 1 {
		t.Fatalf("%v, %v", e, err)
	}
	for _, d := range append(waiting, one.GetDelivery(), e.GetDeliveries()[0]) {
		if d.GetWaitReason() != "breaker_open" || d.GetWaitDetail() == "" || !d.GetNextAttemptTime().AsTime().Equal(probe) {
			t.Errorf("%s %s waits for %q, the next attempt is at %v", d.GetEventId(), d.GetState(), d.GetWaitReason(), d.GetNextAttemptTime())
		}
	}

	// A probe that is due or under way has no time in the past.
	st.NextProbe = now.Add(-time.Second)
	h.stands("bad", st, revision)
	if s := of(); s.GetNextProbeTime() != nil || s.GetNextAttemptTime() != nil || !s.GetBreakerOpen() {
		t.Errorf("with a probe that is due the status is %v", s)
	}
}

func TestAProbeIsMadeNow(t *testing.T) {
	off := httpRecipient("off", "support_conference_end")
	off.Enabled = proto.Bool(false)
	h := newFixture(t, history.ExternalBroker, httpRecipient("bad", "support_conference_end"), off,
		httpRecipient("idle", "support_conference_begin"))
	heard := h.wakes()
	probe := func(id string) (*outboundv1.ProbeRecipientResponse, error) {
		return h.deliveries.ProbeRecipient(t.Context(), &outboundv1.ProbeRecipientRequest{Id: id})
	}
	h.attempted(h.accept("a1", "e-1"), "bad", "", 5, delivery.StateRetrying)
	h.stands("bad", health.Status{Health: health.Failing, Since: time.Now(), Reason: reasons.Connect, BreakerOpen: true}, 0)
	resp, err := probe("bad")
	if err != nil || !resp.GetBreakerOpen() || resp.GetDelivery().GetEventId() != "a1~e-1" {
		t.Fatalf("%v, %v", resp, err)
	}
	if got := <-heard; got.recipient != "bad" || len(got.sequences) != 1 {
		t.Errorf("the senders first hear %v, want the delivery", got)
	}
	if got := <-heard; got.recipient != "bad" || len(got.sequences) != 0 {
		t.Errorf("then the senders hear %v, want that they probe", got)
	}
	one, err := h.deliveries.GetDelivery(t.Context(), &outboundv1.GetDeliveryRequest{RecipientId: "bad", EventId: "a1~e-1"})
	if d := one.GetDelivery(); err != nil || d.GetReason() != string(reasons.SendNow) || d.GetNextAttemptTime().AsTime().After(time.Now()) {
		t.Errorf("the delivery is now %v, %v", d, err)
	}
	_, err = probe("off")
	wantCode(t, err, codes.FailedPrecondition)
	_, err = probe("idle")
	wantCode(t, err, codes.FailedPrecondition)
	_, err = probe("nobody")
	wantCode(t, err, codes.NotFound)
}
