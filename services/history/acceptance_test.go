package history_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// The record of an acceptance may be missing for a while, or be dropped by the log before those of the deliveries are.
func TestAnEventWithoutTheRecordOfItsAcceptanceIsFoundByItsDeliveries(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	e := h.decoded("a1", "e-1")
	r, err := h.publisher.Accept(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	h.attempted(e, "r1", "", 1, delivery.StateDelivered)
	got, err := h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: "a1~e-1"})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetDecision() != outboundv1.Intake_ACCEPTED || got.GetEventType() != e.Type || got.GetSessionId() != e.Session ||
		got.GetVia() != "" || len(got.GetDeliveries()) != 1 {
		t.Errorf("of an event accepted at %d it is told: %v", r.Sequence, got)
	}
	if line := got.GetTimeline()[0].GetDetail(); line != "Accepted as event 1." {
		t.Errorf("its timeline begins with %q", line)
	}
}

// A record that was made up for stands behind those of later acceptances, and was written when nobody published.
func TestARecordThatWasMadeUpForMakesNoApplianceHeard(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways)
	h.accept("a1", "e-1")
	stored, at, err := deliverylog.EventByKey(t.Context(), h.bus, "a1", "e-1")
	if err != nil {
		t.Fatal(err)
	}
	h.appendIntake(event.IntakeRecord{Accepted: true, Appliance: "a1", EventID: "e-0", Type: stored.Type, Time: at.Add(-time.Hour),
		Sequence: 1, Recovered: true})
	if heard, ok, err := h.log.LastAccepted(t.Context(), "a1"); err != nil || !ok || !heard.Equal(at) {
		t.Errorf("heard at %v, %v, %v: want %v", heard, ok, err, at)
	}
	h.appendIntake(event.IntakeRecord{Accepted: true, Appliance: "a2", EventID: "e-0", Type: stored.Type, Time: at.Add(-time.Hour),
		Sequence: 1, Recovered: true})
	if heard, ok, err := h.log.LastAccepted(t.Context(), "a2"); err != nil || !ok || !heard.Equal(at.Add(-time.Hour)) {
		t.Errorf("heard at %v, %v, %v: want %v", heard, ok, err, at.Add(-time.Hour))
	}
}
