package history_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/addresses"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestADeliveryTellsWhatBecameOfEachAddress(t *testing.T) {
	mail := &outboundv1.Recipient{
		Id: "ops", DisplayName: "Ops", Enabled: proto.Bool(true), EventTypes: []string{"support_conference_end"},
		Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Addresses: []string{"a@example.org", "b@example.org",
			"c@example.org", "new@example.org"}}},
	}
	h := newFixture(t, history.EmbeddedAlways, mail, httpRecipient("web", "support_conference_end"))
	e := h.accept("a1", "e-1")
	now := time.Now()
	next := now.Add(time.Hour)
	progress := addresses.Read(nil)
	hash := func(address string) string { return addresses.Hash("ops", address) }
	progress.Done = []string{hash("a@example.org"), hash("gone@example.org")}
	progress.Refused[hash("b@example.org")], progress.Deferred[hash("c@example.org")] = 550, 451
	rec := delivery.Record{
		Recipient: "ops", Channel: "email", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session,
		State:  delivery.StateRetrying,
		Reason: reasons.PartlyDelivered, Attempt: 1, FirstAttempt: &now, LastAttempt: &now, NextAttempt: &next, Accepted: now, Expire: next,
		Progress: progress.Write(),
	}
	stored := make(chan error, 1)
	h.log.AppendAttempt(rec, func(err error) { stored <- unlessStored(err) })
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	h.attempted(e, "web", "", 1, delivery.StateDelivered)
	got, err := h.deliveries.GetDelivery(t.Context(), &outboundv1.GetDeliveryRequest{RecipientId: "ops", EventId: e.Key()})
	if err != nil {
		t.Fatal(err)
	}
	want := []*outboundv1.AddressOutcome{
		{Address: "a@example.org", State: "ACCEPTED"}, {Address: "b@example.org", State: "REFUSED", Code: 550},
		{Address: "c@example.org", State: "DEFERRED", Code: 451}, {Address: "new@example.org", State: "WAITING"},
	}
	if len(got.GetAddresses()) != len(want) {
		t.Fatalf("told of %v", got.GetAddresses())
	}
	for i, a := range got.GetAddresses() {
		if !proto.Equal(a, want[i]) {
			t.Errorf("told %v, want %v", a, want[i])
		}
	}
	if web, err := h.deliveries.GetDelivery(t.Context(),
		&outboundv1.GetDeliveryRequest{RecipientId: "web", EventId: e.Key()}); err != nil || len(web.GetAddresses()) != 0 {
		t.Errorf("of an HTTP recipient: %v, %v", web.GetAddresses(), err)
	}
}
