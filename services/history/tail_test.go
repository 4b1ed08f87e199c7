package history_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// tail opens a tail and waits until it stands.
func (h *fixture) tail(ctx context.Context, f *outboundv1.ListDeliveriesRequest) outboundv1.DeliveryService_TailDeliveriesClient {
	h.t.Helper()
	s, err := h.deliveries.TailDeliveries(ctx, &outboundv1.TailDeliveriesRequest{Filter: f})
	if err != nil {
		h.t.Fatal(err)
	}
	first, err := s.Recv()
	if err != nil || len(first.GetDeliveries()) != 0 {
		h.t.Fatalf("the first message is %v, %v; want an empty one", first, err)
	}
	return s
}

// heard receives until n deliveries have been told or missed.
func (h *fixture) heard(s outboundv1.DeliveryService_TailDeliveriesClient, n int) (told []*outboundv1.Delivery, missed int) {
	h.t.Helper()
	for len(told)+missed < n {
		m, err := s.Recv()
		if err != nil {
			h.t.Fatalf("after %d of %d: %v", len(told), n, err)
		}
		if len(m.GetDeliveries()) > 500 {
			h.t.Errorf("a message tells %d deliveries", len(m.GetDeliveries()))
		}
		told, missed = append(told, m.GetDeliveries()...), missed+int(m.GetMissed())
	}
	return told, missed
}

func TestATailTellsEveryRecordFromNowOnThatMatches(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", end))
	h.attempted(h.accept("a1", "before"), "r1", "", 1, delivery.StateDelivered)
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	all, failing := h.tail(ctx, nil), h.tail(ctx, &outboundv1.ListDeliveriesRequest{RecipientId: "r1", ReasonClass: "http_5xx"})
	var want, wantFailing []string
	for i := range 20 {
		e := h.accept("a1", fmt.Sprint("e-", i))
		h.attempted(e, "r1", "", 1, delivery.StateRetrying)
		h.attempted(e, "r1", "", 2, delivery.StateDelivered)
		h.attempted(e, "r2", "", 1, delivery.StateDelivered)
		key := "a1~" + e.ID
		want = append(want, "r1/"+key+" RETRYING 1", "r1/"+key+" DELIVERED 2", "r2/"+key+" DELIVERED 1")
		wantFailing = append(wantFailing, "r1/"+key+" RETRYING 1")
	}
	got, missed := h.heard(all, len(want))
	if diff := cmp.Diff(want, names(got)); diff != "" || missed != 0 {
		t.Errorf("missed %d: %s", missed, diff)
	}
	got, _ = h.heard(failing, len(wantFailing))
	if diff := cmp.Diff(wantFailing, names(got)); diff != "" {
		t.Error(diff)
	}
}

func TestATailCountsWhatItCannotTell(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways)
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	s := h.tail(ctx, nil)
	const n = 3_000
	(&chance{Rand: random(), h: h}).write(n)
	told, missed := h.heard(s, n)
	if len(told)+missed != n {
		t.Errorf("%d told and %d missed, want %d in all", len(told), missed, n)
	}
}

func TestATailGoesOnAfterTheBrokerWasAway(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", end))
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	s := h.tail(ctx, nil)
	h.attempted(h.accept("a1", "e-1"), "r1", "", 1, delivery.StateDelivered)
	h.heard(s, 1)
	h.broker.Restart()
	h.attempted(h.accept("a1", "e-2"), "r1", "", 1, delivery.StateDelivered)
	got, _ := h.heard(s, 1)
	if diff := cmp.Diff([]string{"r1/a1~e-2 DELIVERED 1"}, names(got)); diff != "" {
		t.Error(diff)
	}
}

func TestATailOfWhatWillNeverComeIsRefused(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways)
	for _, f := range []*outboundv1.ListDeliveriesRequest{{State: outboundv1.DeliveryState_WAITING}, {RecipientId: ">"},
		{ReasonClass: "bad"}} {
		s, err := h.deliveries.TailDeliveries(t.Context(), &outboundv1.TailDeliveriesRequest{Filter: f})
		if err == nil {
			_, err = s.Recv()
		}
		wantCode(t, err, codes.InvalidArgument)
	}
}
