package history_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// chance makes deliveries that differ in all that can be searched by.
type chance struct {
	*rand.Rand
	h *fixture
	n int
}

// random is the same in each run.
func random() *rand.Rand { return rand.New(rand.NewPCG(7, 11)) } //nolint:gosec // no secret

func pick[T any](c *chance, of ...T) T { return of[c.IntN(len(of))] }

// write records n more attempts, some of them of deliveries that there are.
func (c *chance) write(n int) {
	c.h.t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range n {
		wg.Add(1)
		c.h.log.AppendAttempt(c.record(), func(err error) {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			if unlessStored(err) != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	if failed != nil {
		c.h.t.Fatal(failed)
	}
}

func (c *chance) record() delivery.Record {
	now := time.Now()
	c.n++
	event := c.IntN(900)
	r := delivery.Record{
		Recipient: fmt.Sprint("r", c.IntN(4)), Channel: "http", EventID: fmt.Sprint("e-", event), Appliance: fmt.Sprint("a", event%3),
		Session: fmt.Sprint("s-", event/5), ExternalKey: fmt.Sprint("INC ", event/9),
		Sequence: uint64(event + 1), Accepted: now, Expire: now.Add(time.Hour), Attempt: c.n, FirstAttempt: &now, LastAttempt: &now,
	}
	r.Type = []string{"t_one", "t_two", "t_three"}[event%3]
	if event%7 == 0 {
		r.Session, r.ExternalKey = "", ""
	}
	if event == 13 {
		r.Type = "t_rare"
	}
	if r.Recipient == "r3" {
		r.Channel = "email"
	}
	if c.IntN(10) == 0 {
		r.ReplayID = fmt.Sprint("01REPLAY", c.IntN(3))
	}
	switch c.IntN(6) {
	case 0:
		r.State, r.Reason, r.Status = delivery.StateRetrying, reasons.HTTPStatus, pick(c, 404, 500, 503)
	case 1:
		r.State, r.Reason = delivery.StateRetrying, pick(c, reasons.TLS, reasons.Timeout, reasons.DNS)
	case 2:
		r.State, r.Reason = delivery.StateExpired, reasons.Expired
	case 3:
		r.State, r.Reason, r.Status = delivery.StateRejected, reasons.Gone, 410
	case 4:
		r.State, r.Reason = delivery.StateSkipped, pick(c, reasons.FilterFalse, reasons.Disabled)
	default:
		r.State, r.Reason, r.Status = delivery.StateDelivered, reasons.OK, 200
	}
	return r
}

// all is the whole log as it is now, in its order. What was read before is kept.
func (h *fixture) all() []deliverylog.StoredRecord {
	h.t.Helper()
	last, err := h.log.Behind(h.t.Context(), deliverylog.AttemptFilter{}, h.readTo,
		func(r deliverylog.StoredRecord) { h.read = append(h.read, r) })
	if err != nil {
		h.t.Fatal(err)
	}
	h.readTo = last
	return slices.Clip(h.read)
}

func deliveryName(r deliverylog.StoredRecord) string {
	return delivery.Key(r.Recipient, event.Key(r.Appliance, r.EventID), r.ReplayID)
}

// naive filters the latest record of each delivery by comparing every field.
func naive(log []deliverylog.StoredRecord, req *outboundv1.ListDeliveriesRequest) []string {
	latest := map[string]uint64{}
	for _, r := range log {
		latest[deliveryName(r)] = r.Sequence
	}
	same := func(want, have string) bool { return want == "" || want == have }
	var out []string
	for _, r := range slices.Backward(log) {
		state := ""
		if req.GetState() != 0 {
			state = req.GetState().String()
		}
		if latest[deliveryName(r)] == r.Sequence && same(req.GetRecipientId(), r.Recipient) && same(state, string(r.State)) &&
			same(req.GetEventType(), r.Type) && same(req.GetApplianceId(), r.Appliance) && same(req.GetSessionId(), r.Session) &&
			same(req.GetExternalKey(), r.ExternalKey) && same(req.GetChannel(), r.Channel) && same(req.GetReason(), string(r.Reason)) &&
			same(req.GetReasonClass(), string(reasonclass.Of(r.Reason, r.Status))) && same(req.GetReplayId(), r.ReplayID) &&
			(same(req.GetEventId(), r.EventID) || req.GetEventId() == event.Key(r.Appliance, r.EventID)) &&
			(req.GetStartTime() == nil || !r.Time.Before(req.GetStartTime().AsTime())) &&
			(req.GetEndTime() == nil || r.Time.Before(req.GetEndTime().AsTime())) {
			out = append(out, fmt.Sprint(deliveryName(r), " ", r.State, " ", r.Attempt))
		}
	}
	return out
}

// pages lists all pages and has between called after each.
func (h *fixture) pages(req *outboundv1.ListDeliveriesRequest, between func()) []string {
	h.t.Helper()
	req = proto.CloneOf(req)
	var out []string
	for {
		page := h.list(req)
		for _, d := range page.GetDeliveries() {
			if d.GetReasonClass() == "" || d.GetChannel() == "" {
				h.t.Errorf("a delivery is told without its class or channel: %v", d)
			}
			out = append(out, fmt.Sprint(delivery.Key(d.GetRecipientId(), d.GetEventId(), d.GetReplayId()), " ", d.GetState(), " ", d.GetAttempts()))
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return out
		}
		between()
	}
}

// kinds is how many filters there are of a kind of their own.
const kinds = 32

// filters are one of each kind and many by chance.
func (c *chance) filters(log []deliverylog.StoredRecord) []*outboundv1.ListDeliveriesRequest {
	out := []*outboundv1.ListDeliveriesRequest{
		{}, {RecipientId: "r1"}, {State: outboundv1.DeliveryState_EXPIRED}, {EventType: "t_rare"}, {EventType: "t_one"}, {ApplianceId: "a1"},
		{SessionId: "s-4"},
		{ExternalKey: "INC 3"}, {Channel: "email"}, {Reason: "tls"}, {Reason: "ok"}, {ReplayId: "01REPLAY1"}, {EventId: "e-13"},
		{EventId: "a0~e-21"},
		{StartTime: timestamppb.New(log[len(log)/3].Time)}, {EndTime: timestamppb.New(log[len(log)/2].Time), RecipientId: "r2"},
	}
	for _, class := range reasonclass.All() {
		out = append(out, &outboundv1.ListDeliveriesRequest{ReasonClass: string(class)})
	}
	if len(out) != kinds {
		c.h.t.Fatalf("there are %d kinds of filters, want %d", len(out), kinds)
	}
	for _, f := range out {
		f.PageSize = 150 // several pages of what finds much; those by chance have other sizes
	}
	for range 45 {
		f := &outboundv1.ListDeliveriesRequest{PageSize: int32(pick(c, 0, 40, 400))}
		some := log[c.IntN(len(log))]
		for _, set := range []func(){
			func() { f.RecipientId = some.Recipient },
			func() {
				f.State = outboundv1.DeliveryState_State(outboundv1.DeliveryState_State_value[string(some.State)])
			},
			func() { f.EventType = some.Type }, func() { f.ApplianceId = some.Appliance }, func() { f.SessionId = some.Session },
			func() { f.ExternalKey = some.ExternalKey }, func() { f.Channel = some.Channel }, func() { f.Reason = string(some.Reason) },
			func() { f.ReasonClass = string(reasonclass.Of(some.Reason, some.Status)) }, func() { f.ReplayId = some.ReplayID },
			func() { f.StartTime = timestamppb.New(some.Time) }, func() { f.EndTime = timestamppb.New(log[len(log)-1].Time) },
		} {
			if c.IntN(4) == 0 {
				set()
			}
		}
		if proto.Equal(f, &outboundv1.ListDeliveriesRequest{PageSize: f.GetPageSize()}) {
			f.RecipientId = some.Recipient // all deliveries are one of the kinds above
		}
		if f.GetStartTime() == nil || f.GetEndTime() == nil || f.GetEndTime().AsTime().After(f.GetStartTime().AsTime()) {
			out = append(out, f)
		}
	}
	return out
}

// TestFiltersFindWhatALookAtEveryRecordFinds compares all pages of each filter with the log as it was when the first page was
// asked for, while records of old and new deliveries arrive between the pages: nothing is lost, nothing comes twice.
// The filters of each kind are asked of a service without an index of the log, of one whose index holds the newest part of it, and of
// one whose index holds all; those made by chance of one of the three in turns.
func TestFiltersFindWhatALookAtEveryRecordFinds(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r0", "support_conference_end"))
	c := &chance{Rand: random(), h: h}
	c.write(2_600)
	var indexed []outboundv1.DeliveryServiceClient
	for _, most := range []int{0, 1_000, 1_000_000} {
		h.indexed(most)
		indexed = append(indexed, h.deliveries)
	}
	found := 0
	for i, f := range c.filters(h.all()) {
		for k := range indexed {
			if i >= kinds && i%len(indexed) != k {
				continue
			}
			h.deliveries = indexed[k]
			found += c.compare(f)
			if t.Failed() {
				t.Fatalf("filter %d of service %d", i, k)
			}
		}
	}
	if found < 20_000 {
		t.Errorf("the filters found %d deliveries in all: they test nothing", found)
	}
}

// compare compares the pages of a filter with the log, and returns how many deliveries it finds.
func (c *chance) compare(f *outboundv1.ListDeliveriesRequest) int {
	c.h.t.Helper()
	want := naive(c.h.all(), f)
	turned := 0
	got := c.h.pages(f, func() {
		// A few pages show it; each write waits for the disk.
		if turned++; turned <= 3 {
			c.write(3)
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		c.h.t.Errorf("%v: %s", f, diff)
	}
	return len(want)
}

// TestWhatTheIndexHasNotBeenToldIsFound lets the index fall behind, by little and by more than is read at once.
func TestWhatTheIndexHasNotBeenToldIsFound(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r0", "support_conference_end"))
	c := &chance{Rand: random(), h: h}
	c.write(300)
	h.indexed(1_000_000)()
	for _, more := range []int{40, 1_100} {
		c.write(more)
		for _, f := range []*outboundv1.ListDeliveriesRequest{
			{PageSize: 150}, {RecipientId: "r1"}, {ReasonClass: "tls"}, {State: outboundv1.DeliveryState_RETRYING, PageSize: 7},
			{ReplayId: "01REPLAY1"},
		} {
			if c.compare(f) == 0 {
				t.Errorf("%v finds nothing", f)
			}
		}
	}
}

// indexed starts a service with an index of so many records and waits until it is filled. stop has it told no more.
func (h *fixture) indexed(most int) (stop func()) {
	h.t.Helper()
	o := history.DefaultOptions()
	o.IndexRecords = most
	s := h.start(o)
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { s.Follow(ctx) })
	stop = func() {
		cancel()
		following.Wait()
	}
	h.t.Cleanup(stop)
	last, err := h.log.LastSequence(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	waittest.NoError(h.t, "the index to be filled", func() error {
		if _, held, _ := s.Index().Span(); most > 0 && held < last {
			return fmt.Errorf("it holds records up to %d, want %d", held, last)
		}
		return nil
	})
	first, _, _ := s.Index().Span()
	if whole := uint64(most) >= last; most > 0 && whole != (first == 1) || s.Index().Len() > 2*most {
		h.t.Fatalf("an index of %d holds %d records, from %d of %d on", most, s.Index().Len(), first, last)
	}
	return stop
}
