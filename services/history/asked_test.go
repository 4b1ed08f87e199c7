package history_test

import (
	"slices"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// wake is what senders hear.
type wake struct {
	recipient string
	sequences []uint64
}

func (h *fixture) wakes() <-chan wake {
	h.t.Helper()
	heard := make(chan wake, 100)
	stop, err := queue.New(h.bus).Expedited(recipient.HTTP, func(id string, sequences []uint64) { heard <- wake{id, sequences} })
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(stop)
	return heard
}

// TestAnEventThatIsSentAgainAloneIsWaitedFor sends one event to a recipient again, and two to another.
func TestAnEventThatIsSentAgainAloneIsWaitedFor(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"), httpRecipient("r2", "support_conference_end"))
	h.accept("a1", "e-1")
	h.accept("a1", "e-2")
	heard := h.wakes()
	var targets []*outboundv1.RetryDeliveriesRequest_Target
	for _, to := range [][2]string{{"r1", "e-1"}, {"r2", "e-1"}, {"r2", "e-2"}} {
		targets = append(targets, &outboundv1.RetryDeliveriesRequest_Target{RecipientId: to[0], EventId: "a1~" + to[1]})
	}
	if _, err := h.deliveries.RetryDeliveries(t.Context(), &outboundv1.RetryDeliveriesRequest{Deliveries: targets}); err != nil {
		t.Fatal(err)
	}
	var alone uint64
	for _, x := range []struct {
		to   string
		want int
	}{{"r1", 1}, {"r2", 0}} {
		p, err := queue.New(h.bus).Open(t.Context(), recipient.HTTP, x.to)
		if err != nil {
			t.Fatal(err)
		}
		expedited, of := 0, 2+1
		if x.to == "r2" {
			of++
		}
		if err := p.Pull(t.Context(), of, 20*time.Second, func(m delivery.Message) {
			if m.Expedited {
				expedited, alone = expedited+1, m.Sequence
			}
		}); err != nil {
			t.Fatal(err)
		}
		p.Close()
		if expedited != x.want {
			t.Errorf("%d messages to %s are expedited, want %d", expedited, x.to, x.want)
		}
	}
	if got := <-heard; got.recipient != "r1" || !slices.Equal(got.sequences, []uint64{alone}) || len(heard) > 0 {
		t.Errorf("the senders hear %v and %d more, want %d to r1 alone", got, len(heard), alone)
	}
}

// TestSendNowNamesItsDeliveries asks for one that waits for its time, and for one that is due.
func TestSendNowNamesItsDeliveries(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	heard := h.wakes()
	var targets []*outboundv1.RetryDeliveriesRequest_Target
	for i, wait := range []time.Duration{time.Hour, 0} {
		id := []string{"e-1", "e-2"}[i]
		e, now := h.accept("a1", id), time.Now()
		next := now.Add(wait)
		stored := make(chan error, 1)
		h.log.AppendAttempt(delivery.Record{
			Recipient: "r1", Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session, ExternalKey: e.ExternalKey,
			Sequence: uint64(i + 1), State: delivery.StateRetrying, Reason: reasons.HTTPStatus, Attempt: 1, Accepted: now, LastAttempt: &now,
			NextAttempt: &next, Expire: now.Add(24 * time.Hour),
		}, func(err error) { stored <- unlessStored(err) })
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
		targets = append(targets, &outboundv1.RetryDeliveriesRequest_Target{RecipientId: "r1", EventId: "a1~" + id})
	}
	resp, err := h.deliveries.SendNow(t.Context(), &outboundv1.SendNowRequest{Deliveries: targets})
	if err != nil || resp.GetChanged() != 1 || len(resp.GetUnchanged()) != 1 {
		t.Fatalf("%v, %v", resp, err)
	}
	if got := <-heard; got.recipient != "r1" || !slices.Equal(got.sequences, []uint64{1, 2}) {
		t.Errorf("the senders hear %v, want both", got)
	}
}
