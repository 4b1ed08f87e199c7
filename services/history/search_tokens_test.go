package history_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestAPageTokenIsOfItsFiltersAlone(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", "support_conference_end"))
	for i := range 3 {
		h.attempted(h.accept("a1", fmt.Sprint("e-", i)), "r1", "", 1, delivery.StateDelivered)
	}
	token := h.list(&outboundv1.ListDeliveriesRequest{PageSize: 1}).GetNextPageToken()
	if token == "" {
		t.Fatal("there is no second page")
	}
	if got := h.list(&outboundv1.ListDeliveriesRequest{PageSize: 2, PageToken: token}).GetDeliveries(); len(got) != 2 {
		t.Errorf("another page size: %d deliveries, want 2", len(got))
	}
	for _, req := range []*outboundv1.ListDeliveriesRequest{
		{PageToken: token, RecipientId: "r1"}, {PageToken: token, State: outboundv1.DeliveryState_WAITING}, {PageToken: token, Reason: "ok"},
	} {
		_, err := h.deliveries.ListDeliveries(t.Context(), req)
		wantCode(t, err, codes.InvalidArgument)
	}
	_, err := h.events.ListEvents(t.Context(), &outboundv1.ListEventsRequest{PageToken: token})
	wantCode(t, err, codes.InvalidArgument)
}

func TestAFilterThatCanMatchNothingIsRefused(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways)
	now := time.Now()
	_, err := h.deliveries.ListDeliveries(t.Context(), &outboundv1.ListDeliveriesRequest{
		ReasonClass: "http_9xx", StartTime: timestamppb.New(now), EndTime: timestamppb.New(now.Add(-time.Second)),
	})
	wantCode(t, err, codes.InvalidArgument)
	var said []string
	for _, v := range rpc.ViolationsOf(err) {
		said = append(said, v.Field+" "+v.Reason)
	}
	if diff := cmp.Diff([]string{"reasonClass UNKNOWN_CLASS", "endTime BEFORE_START"}, said); diff != "" {
		t.Error(diff)
	}
}

func TestEventsAreFoundByWhatTheyHold(t *testing.T) {
	for _, most := range []int{0, 200, 1_000_000} {
		t.Run(fmt.Sprint("index of ", most), func(t *testing.T) { newFixture(t, history.EmbeddedAlways).findsEvents(most) })
	}
}

// findsEvents compares the pages of each filter for events with what was recorded.
func (h *fixture) findsEvents(most int) {
	t := h.t
	t.Helper()
	begin := time.Now()
	var all []event.IntakeRecord
	for i := range 600 {
		rec := event.IntakeRecord{
			Accepted: i%10 != 9, Appliance: fmt.Sprint("a", i%3), EventID: fmt.Sprint("e-", i), Type: []string{"t_one", "t_two"}[i%2],
			Session:     fmt.Sprint("s-", i%50),
			ExternalKey: fmt.Sprint("INC ", i%70), Time: begin, Via: "http", Sequence: uint64(i + 1),
		}
		if !rec.Accepted {
			rec.Raw, rec.Violations = []byte("{}"), event.Violations{{Field: "type", Reason: "UNKNOWN_TYPE", Description: "is unknown"}}
		}
		if i%40 == 39 {
			rec.EventID = "" // unreadable events have no id: each counts
		}
		h.appendIntake(rec)
		all = append(all, rec)
	}
	h.indexed(most)
	same := func(want, have string) bool { return want == "" || want == have }
	for _, req := range []*outboundv1.ListEventsRequest{
		{}, {ApplianceId: "a1"}, {EventType: "t_two"}, {SessionId: "s-7"}, {ExternalKey: "INC 5"}, {Decision: outboundv1.Intake_REJECTED},
		{Decision: outboundv1.Intake_ACCEPTED, EventType: "t_one", ApplianceId: "a2"}, {Decision: outboundv1.Intake_REJECTED, ApplianceId: "a0"},
		{StartTime: timestamppb.New(begin)}, {EndTime: timestamppb.New(begin)},
	} {
		var want, got []string
		for _, r := range slices.Backward(all) {
			accepted := req.GetDecision() == 0 || r.Accepted == (req.GetDecision() == outboundv1.Intake_ACCEPTED)
			if accepted && req.GetEndTime() == nil && same(req.GetApplianceId(), r.Appliance) && same(req.GetEventType(), r.Type) &&
				same(req.GetSessionId(), r.Session) && same(req.GetExternalKey(), r.ExternalKey) {
				want = append(want, fmt.Sprint(r.Sequence, r.EventID, r.Accepted))
			}
		}
		req.PageSize = 13
		for {
			page, err := h.events.ListEvents(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.GetEvents() {
				_, id, _ := event.SplitKey(e.GetEventId())
				got = append(got, fmt.Sprint(e.GetSequence(), id, e.GetDecision() == outboundv1.Intake_ACCEPTED))
				if e.GetDecision() == outboundv1.Intake_REJECTED && (len(e.GetViolations()) != 1 || string(e.GetRaw()) != "{}") {
					t.Errorf("a refused event is told without reason or text: %v", e)
				}
			}
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", req, diff)
		}
	}
}
