package history_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// An event with an id and a session that subjects can't have is found by its key, by its id as it was sent, and by its session.
func TestOddIDsAndSessionsAreFound(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	const id, key = "urn:x/1.* >", "a1~urn=3Ax=2F1=2E=2A=20=3E"
	e := h.decoded("a1", id)
	e.Session = "a b.> é"
	if e.Key() != key {
		t.Fatal(e.Key())
	}
	h.appendIntake(event.IntakeRecord{Accepted: true, Appliance: "a1", EventID: e.ID, Type: e.Type, Session: e.Session,
		ExternalKey: e.ExternalKey, Time: e.Time, Sequence: 1, Via: "http"})
	h.attempted(e, "r1", "", 1, delivery.StateRetrying)
	h.attempted(e, "r1", "", 2, delivery.StateDelivered)
	h.attempted(h.decoded("a1", "e-2"), "r1", "", 1, delivery.StateDelivered)
	want := []string{"r1/" + key + " DELIVERED 2"}
	for name, req := range map[string]*outboundv1.ListDeliveriesRequest{
		"key": {EventId: key}, "token": {EventId: e.ID}, "id as sent": {EventId: id}, "key with the id as sent": {EventId: "a1~" + id},
		"session": {SessionId: e.Session}, "session and state": {SessionId: e.Session, State: outboundv1.DeliveryState_DELIVERED},
		"session and recipient": {SessionId: e.Session, RecipientId: "r1"},
	} {
		if diff := cmp.Diff(want, names(h.list(req).GetDeliveries())); diff != "" {
			t.Errorf("by %s: %s", name, diff)
		}
	}
	for _, asked := range []string{key, id, "a1~" + id} {
		got, err := h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: asked})
		if err != nil || got.GetEventId() != key || got.GetSessionId() != e.Session || len(got.GetDeliveries()) != 1 {
			t.Errorf("%s: %v, %v", asked, got, err)
		}
	}
	latest, sequence, err := h.log.Latest(t.Context(), "r1", e, "")
	if err != nil || sequence == 0 || latest.Attempt != 2 {
		t.Errorf("%+v, %d, %v", latest, sequence, err)
	}
}
