package history_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestADeliveryIsListedOnceByItsLatestRecord(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"), httpRecipient("r2", "support_conference_end"))
	e1, e2 := h.accept("a1", "e-1"), h.accept("a1", "e-2")
	h.attempted(e1, "r1", "", 1, delivery.StateRetrying)
	h.attempted(e1, "r1", "", 2, delivery.StateRetrying)
	h.attempted(e2, "r1", "", 1, delivery.StateDelivered)
	h.attempted(e1, "r2", "", 1, delivery.StateRetrying)
	h.attempted(e1, "r1", "", 3, delivery.StateDelivered)
	h.attempted(e1, "r1", "01REPLAY", 1, delivery.StateExpired)

	for _, x := range []struct {
		name string
		req  *outboundv1.ListDeliveriesRequest
		want []string
	}{
		{"all", &outboundv1.ListDeliveriesRequest{}, []string{
			"r1/a1~e-1 EXPIRED 1 replay", "r1/a1~e-1 DELIVERED 3", "r2/a1~e-1 RETRYING 1", "r1/a1~e-2 DELIVERED 1",
		}},
		{"recipient", &outboundv1.ListDeliveriesRequest{RecipientId: "r2"}, []string{"r2/a1~e-1 RETRYING 1"}},
		{"only what is retrying still", &outboundv1.ListDeliveriesRequest{State: outboundv1.DeliveryState_RETRYING},
			[]string{"r2/a1~e-1 RETRYING 1"}},
		{"event by key, with its replays and who waits for it", &outboundv1.ListDeliveriesRequest{EventId: "a1~e-2"},
			[]string{"r2/a1~e-2 WAITING 0", "r1/a1~e-2 DELIVERED 1"}},
		{"event by id", &outboundv1.ListDeliveriesRequest{EventId: "e-1"},
			[]string{"r1/a1~e-1 EXPIRED 1 replay", "r1/a1~e-1 DELIVERED 3", "r2/a1~e-1 RETRYING 1"}},
		{"event that does not exist", &outboundv1.ListDeliveriesRequest{EventId: "a1~e-9"}, []string{}},
		{"event of another appliance", &outboundv1.ListDeliveriesRequest{EventId: "a1~e-1", ApplianceId: "a2"}, []string{}},
		{"external key", &outboundv1.ListDeliveriesRequest{ExternalKey: "INC 1", RecipientId: "r2"}, []string{"r2/a1~e-1 RETRYING 1"}},
		{"session", &outboundv1.ListDeliveriesRequest{SessionId: "s-2"}, []string{}},
		{"type", &outboundv1.ListDeliveriesRequest{EventType: "support_conference_begin"}, []string{}},
		{"what waits", &outboundv1.ListDeliveriesRequest{State: outboundv1.DeliveryState_WAITING}, []string{"r2/a1~e-2 WAITING 0"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			if diff := cmp.Diff(x.want, names(h.list(x.req).GetDeliveries())); diff != "" {
				t.Error(diff)
			}
		})
	}
	d := h.list(&outboundv1.ListDeliveriesRequest{RecipientId: "r2", State: outboundv1.DeliveryState_RETRYING}).GetDeliveries()[0]
	if d.GetReason() != "http_status" || d.GetStatusCode() != 500 || d.GetLastAttemptMs() != 1.5 || d.GetNextAttemptTime() == nil ||
		d.GetExpireTime() == nil || d.GetSessionId() != "s-1" || d.GetEventType() != "support_conference_end" {
		t.Errorf("a delivery is not told in full: %v", d)
	}
}

func TestPagesStayInPlaceWhileRecordsArrive(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	const n = 25
	for i := range n {
		h.attempted(h.accept("a1", fmt.Sprintf("e-%d", i)), "r1", "", 1, delivery.StateRetrying)
	}
	seen := map[string]int{}
	token := ""
	for page := 0; ; page++ {
		resp := h.list(&outboundv1.ListDeliveriesRequest{PageSize: 10, PageToken: token})
		for _, d := range resp.GetDeliveries() {
			seen[d.GetEventId()]++
		}
		// The oldest delivery, which stands on the last page, moves to the front; and new ones come.
		oldest := h.list(&outboundv1.ListDeliveriesRequest{EventId: "a1~e-0"}).GetDeliveries()
		if page == 0 && len(oldest) == 1 {
			h.attempted(h.accept("a1", "new"), "r1", "", 1, delivery.StateDelivered)
			rec, faults := h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: "a1~e-0"})
			if faults != nil || rec.GetSequence() == 0 {
				t.Fatal(faults)
			}
			e, err := eventlog.New(h.bus).StoredEvent(t.Context(), rec.GetSequence())
			if err != nil {
				t.Fatal(err)
			}
			h.attempted(e, "r1", "", 2, delivery.StateDelivered)
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	for i := range n {
		if got := seen[fmt.Sprintf("a1~e-%d", i)]; got != 1 {
			t.Errorf("e-%d was listed %d times", i, got)
		}
	}
	if len(seen) != n {
		t.Errorf("%d deliveries were listed, want %d", len(seen), n)
	}
}

func TestWaitingDeliveriesArePaged(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"),
		httpRecipient("other", "support_conference_begin"))
	const n = 12
	for i := range n {
		h.accept("a1", fmt.Sprintf("e-%d", i))
	}
	var got []string
	token := ""
	for {
		resp := h.list(&outboundv1.ListDeliveriesRequest{State: outboundv1.DeliveryState_WAITING, PageSize: 5, PageToken: token})
		got = append(got, names(resp.GetDeliveries())...)
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	var want []string
	for i := n - 1; i >= 0; i-- {
		want = append(want, fmt.Sprintf("r1/a1~e-%d WAITING 0", i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestATypeAddedLaterMakesNothingWait has a consumer go past an event that does not match, and lets it match afterwards.
func TestATypeAddedLaterMakesNothingWait(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end", "support_conference_begin"))
	wide, _ := h.config.Recipient("r1")
	narrow := *wide
	narrow.EventTypes = []string{"support_conference_end"}
	if err := control.New(h.bus).EnsureConsumer(t.Context(), &narrow); err != nil {
		t.Fatal(err)
	}
	h.acceptType("a1", "passed", "support_conference_begin")
	tried := h.accept("a1", "tried")
	js, err := jetstream.New(h.bus.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	c, err := js.Consumer(t.Context(), bus.StreamEvents, bus.ConsumerName(recipient.HTTP, "r1"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Next(); err != nil || m == nil {
		t.Fatal(err)
	}
	if err := control.New(h.bus).EnsureConsumer(t.Context(), wide); err != nil {
		t.Fatal(err)
	}
	waiting := func() []string {
		return names(h.list(&outboundv1.ListDeliveriesRequest{State: outboundv1.DeliveryState_WAITING}).GetDeliveries())
	}
	if diff := cmp.Diff([]string{"r1/a1~tried WAITING 0"}, waiting()); diff != "" {
		t.Errorf("in its first attempt: %s", diff)
	}
	h.attempted(tried, "r1", "", 1, delivery.StateRetrying)
	h.acceptType("a1", "next", "support_conference_begin")
	if diff := cmp.Diff([]string{"r1/a1~next WAITING 0"}, waiting()); diff != "" {
		t.Errorf("after its first attempt: %s", diff)
	}
	if got := h.list(&outboundv1.ListDeliveriesRequest{EventId: "a1~passed"}).GetDeliveries(); len(got) != 0 {
		t.Errorf("an event that the queue went past waits: %v", got)
	}
}

func TestFiltersThatNoIDCanHaveAreRefused(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways)
	_, err := h.deliveries.ListDeliveries(t.Context(), &outboundv1.ListDeliveriesRequest{
		RecipientId: ">", EventId: "a1~*", EventType: "a.b", ApplianceId: "a b", SessionId: "é",
	})
	wantCode(t, err, codes.InvalidArgument)
	// An event's id and a session may be any text.
	if got := len(rpc.ViolationsOf(err)); got != 3 {
		t.Errorf("%d violations, want 3: %v", got, err)
	}
	for _, token := range []string{"!", "e30", "bm8"} {
		_, err := h.deliveries.ListDeliveries(t.Context(), &outboundv1.ListDeliveriesRequest{PageToken: token})
		wantCode(t, err, codes.InvalidArgument)
	}
}

func TestARetryGoesThroughTheQueueUnderAReplayID(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"), httpRecipient("r2", "support_conference_end"))
	h.attempted(h.accept("a1", "e-1"), "r1", "", 1, delivery.StateExpired)
	h.waiting("r1", 1)
	target := &outboundv1.RetryDeliveriesRequest_Target{RecipientId: "r1", EventId: "a1~e-1"}
	resp, err := h.deliveries.RetryDeliveries(t.Context(), &outboundv1.RetryDeliveriesRequest{
		Deliveries: []*outboundv1.RetryDeliveriesRequest_Target{target, target},
	})
	if err != nil || resp.GetQueued() != 1 || len(resp.GetReplayId()) != 26 {
		t.Fatalf("%v, %v", resp, err)
	}
	h.waiting("r1", 2)
	h.waiting("r2", 1)
	e, err := eventlog.New(h.bus).StoredEvent(t.Context(), 2)
	if err != nil || e.Key() != "a1~e-1" {
		t.Errorf("the replay is not the event: %v, %v", e, err)
	}
}

func TestARetryOfWhatIsNotThereStoresNothing(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	h.accept("a1", "e-1")
	for _, x := range []struct {
		recipient, event string
		code             codes.Code
	}{
		{"nobody", "a1~e-1", codes.NotFound},
		{"r1", "a1~e-2", codes.NotFound},
		{"r1", "e-1", codes.InvalidArgument},
		{"r1", "a1~>", codes.InvalidArgument},
	} {
		_, err := h.deliveries.RetryDeliveries(t.Context(),
			&outboundv1.RetryDeliveriesRequest{Deliveries: []*outboundv1.RetryDeliveriesRequest_Target{
				{RecipientId: "r1", EventId: "a1~e-1"}, {RecipientId: x.recipient, EventId: x.event},
			}})
		wantCode(t, err, x.code)
	}
	if last, err := eventlog.New(h.bus).LastSequence(t.Context()); err != nil || last != 1 {
		t.Errorf("something was stored: last sequence %d, %v", last, err)
	}
	if _, err := eventlog.New(h.bus).StoredEvent(t.Context(), 2); err == nil {
		t.Errorf("want %v", bus.ErrNotFound)
	}
}

// waiting checks how many messages a recipient's queue holds, which hears of one a moment after it was stored.
func (h *fixture) waiting(id string, want uint64) {
	h.t.Helper()
	waittest.NoError(h.t, fmt.Sprint(want, " messages in the queue of ", id), func() error {
		b, err := control.New(h.bus).Backlog(h.t.Context(), recipient.HTTP, id)
		if err != nil {
			h.t.Fatal(err)
		}
		if b.Waiting != want {
			return fmt.Errorf("it has %d", b.Waiting)
		}
		return nil
	})
}
