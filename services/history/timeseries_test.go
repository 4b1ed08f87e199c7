package history_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// deliveredIn records a delivery that took a time from the acceptance of its event.
func (h *fixture) deliveredIn(e *event.Event, recipient string, took time.Duration) {
	h.t.Helper()
	now := time.Now()
	began := now.Add(-took)
	rec := delivery.Record{
		Recipient: recipient, Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session,
		ExternalKey: e.ExternalKey, Sequence: 1, State: delivery.StateDelivered, Reason: reasons.OK, Attempt: 1, Status: 200,
		Accepted: began, FirstAttempt: &began, LastAttempt: &began, TookMicros: took.Microseconds(), Expire: now.Add(time.Hour),
	}
	ch := make(chan error, 1)
	h.log.AppendAttempt(rec, func(err error) { ch <- unlessStored(err) })
	if err := <-ch; err != nil {
		h.t.Fatal(err)
	}
}

// series asks for the last hour of a recipient, or of all.
func series(ctx context.Context, c outboundv1.StatusServiceClient, id string) (*outboundv1.TimeSeries, error) {
	return c.GetTimeSeries(ctx, &outboundv1.GetTimeSeriesRequest{RecipientId: id, Range: outboundv1.TimeSeriesRange_HOUR})
}

// counts are the sums of a series, as a line.
func counts(s *outboundv1.TimeSeries) string {
	t := s.GetTotal()
	delivered := int64(0)
	for _, p := range s.GetPoints() {
		delivered += p.GetDelivered()
	}
	if delivered != t.GetDelivered() {
		return fmt.Sprintf("the points have %d deliveries, the total %d", delivered, t.GetDelivered())
	}
	return fmt.Sprintf("%d delivered, %d failed attempts, %d failed deliveries",
		t.GetDelivered(), t.GetFailedAttempts(), t.GetFailedDeliveries())
}

// TestTheTimeSeriesIsTheSameInEachProcessAndAfterARestart counts in three processes: one was there before the records, one began between
// them, and one began after them.
func TestTheTimeSeriesIsTheSameInEachProcessAndAfterARestart(t *testing.T) {
	const ended = "support_conference_end"
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("good", ended), httpRecipient("bad", ended))
	processes := []outboundv1.StatusServiceClient{h.running(nil)}
	for i := range 10 {
		h.deliveredIn(h.accept("a1", fmt.Sprint("e-", i)), "good", time.Duration(i+1)*100*time.Millisecond)
	}
	processes = append(processes, h.running(nil))
	e := h.accept("a1", "e-bad")
	h.attempted(e, "bad", "", 1, delivery.StateRetrying)
	h.attempted(e, "bad", "", 2, delivery.StateExpired)
	h.attempted(h.accept("a1", "e-refused"), "bad", "", 1, delivery.StateRejected)
	h.attempted(h.accept("a1", "e-skipped"), "bad", "", 0, delivery.StateSkipped)
	processes = append(processes, h.running(nil))
	for i, c := range processes {
		for id, want := range map[string]string{
			"good": "10 delivered, 0 failed attempts, 0 failed deliveries", "bad": "0 delivered, 3 failed attempts, 2 failed deliveries",
			"": "10 delivered, 3 failed attempts, 2 failed deliveries",
		} {
			var got *outboundv1.TimeSeries
			h.eventually(fmt.Sprintf("process %d to count %s of %q", i, want, id), func() bool {
				var err error
				got, err = series(t.Context(), c, id)
				return err == nil && counts(got) == want
			})
			if len(got.GetPoints()) != 60 || got.GetInterval().AsDuration() != time.Minute || got.GetKnownSinceTime() != nil {
				t.Errorf("process %d tells %v", i, got)
			}
			if id != "good" {
				continue
			}
			p50, p95 := got.GetTotal().GetLatencyP50().AsDuration(), got.GetTotal().GetLatencyP95().AsDuration()
			if p50 < 450*time.Millisecond || p50 > 550*time.Millisecond || p95 < 900*time.Millisecond || p95 > 1100*time.Millisecond {
				t.Errorf("process %d: the quantiles are %s and %s, want 500 ms and 1 s by at most 10 %%", i, p50, p95)
			}
		}
	}
	if _, err := series(t.Context(), processes[0], "nobody"); err == nil {
		t.Error("it tells of a recipient that does not exist")
	} else {
		wantCode(t, err, codes.NotFound)
	}
}

// TestQueuesAreLookedUpOnceAMinuteByOneProcess runs several processes on one broker: what one saw the others tell too, and a process
// that starts later knows it from the broker.
func TestQueuesAreLookedUpOnceAMinuteByOneProcess(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways,
		httpRecipient("slow", "support_conference_end"), httpRecipient("idle", "support_conference_begin"))
	for i := range 7 {
		h.accept("a1", fmt.Sprint("e-", i))
	}
	processes := []outboundv1.StatusServiceClient{h.running(nil), h.running(nil)}
	longest := func(c outboundv1.StatusServiceClient, id string) int64 {
		s, err := series(t.Context(), c, id)
		if err != nil || s.GetTotal().Waiting == nil {
			return -1
		}
		return s.GetTotal().GetWaiting()
	}
	for i, c := range processes {
		h.eventually(fmt.Sprintf("process %d to tell the queues", i), func() bool {
			return longest(c, "slow") == 7 && longest(c, "idle") == 0 && longest(c, "") == 7
		})
	}
	late := h.running(nil)
	h.eventually("a process that started later to tell them", func() bool { return longest(late, "slow") == 7 })
	for _, r := range []outboundv1.TimeSeriesRange_Range{outboundv1.TimeSeriesRange_DAY, outboundv1.TimeSeriesRange_WEEK} {
		h.eventually("the longer ranges to have them too", func() bool {
			s, err := late.GetTimeSeries(t.Context(), &outboundv1.GetTimeSeriesRequest{RecipientId: "slow", Range: r})
			return err == nil && s.GetTotal().GetWaiting() == 7
		})
	}
}
