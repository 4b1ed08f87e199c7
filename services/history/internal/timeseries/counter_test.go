package timeseries_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/timeseries"
)

const (
	hour = outboundv1.TimeSeriesRange_HOUR
	day  = outboundv1.TimeSeriesRange_DAY
	week = outboundv1.TimeSeriesRange_WEEK
)

func now() time.Time { return time.Date(2026, 11, 21, 10, 4, 30, 0, time.UTC) }

func record(id string, state delivery.State, at time.Time) deliverylog.RecordHeader {
	return deliverylog.RecordHeader{Sequence: 1, Recipient: id, State: state, Stored: at, Tried: true}
}

func deliveredIn(id string, at time.Time, took time.Duration) deliverylog.RecordHeader {
	g := record(id, delivery.StateDelivered, at)
	g.Latency, g.LatencyKnown = took, true
	return g
}

func TestEachRecordCountsInItsIntervalsForItsRecipientAndForAll(t *testing.T) {
	c := timeseries.NewCounter()
	old := now().Add(-90 * time.Minute)
	untried := record("b", delivery.StateExpired, now())
	untried.Tried = false
	carried := record("b", delivery.StateRetrying, now())
	carried.Carried = true
	operator := record("b", delivery.StateRetrying, now())
	operator.Reason = reasons.Extended
	for _, g := range []deliverylog.RecordHeader{
		deliveredIn("a", old, time.Second), record("a", delivery.StateDelivered, now().Add(-time.Minute)),
		record("a", delivery.StateRetrying, now()),
		record("b", delivery.StateRejected, now()), untried, carried, operator,
		record("b", delivery.StateSkipped, now()), record("b", delivery.StateCancelled, now()),
		{Sequence: 9, Stored: now(), Intake: true, Accepted: true},
	} {
		c.Count(g)
	}
	for _, x := range []struct {
		id                                          string
		of                                          outboundv1.TimeSeriesRange_Range
		points, delivered, attempts, deliveriesLost int
	}{
		{"a", hour, 60, 1, 1, 0}, {"a", day, 144, 2, 1, 0}, {"a", week, 168, 2, 1, 0},
		{"b", hour, 60, 0, 1, 2}, {"", hour, 60, 1, 2, 2}, {"", week, 168, 2, 2, 2}, {"nobody", day, 144, 0, 0, 0},
	} {
		points, _ := c.At(x.id, x.of, now())
		got := c.Total(x.id, x.of, now())
		if len(points) != x.points || int(got.GetDelivered()) != x.delivered || int(got.GetFailedAttempts()) != x.attempts ||
			int(got.GetFailedDeliveries()) != x.deliveriesLost {
			t.Errorf("%q in %s: %d points, %v; want %+v", x.id, x.of, len(points), got, x)
		}
	}
	points, _ := c.At("a", hour, now())
	at := time.Date(2026, 11, 21, 10, 3, 0, 0, time.UTC)
	if p := points[58]; p.GetDelivered() != 1 || !p.GetStartTime().AsTime().Equal(at) || p.LatencyP50 != nil {
		t.Errorf("a minute ago: %v", p)
	}
	if p := points[59]; p.GetFailedAttempts() != 1 {
		t.Errorf("now: %v", p)
	}
}

func TestWhatWasRemovedBeforeIsNotKnown(t *testing.T) {
	first := now().Add(-2 * time.Hour)
	c := timeseries.NewCounter()
	g := record("a", delivery.StateDelivered, first)
	g.Sequence = 4711
	c.Count(g)
	if _, since := c.At("", hour, now()); !since.IsZero() {
		t.Errorf("the hour is known since %s, not wholly", since)
	}
	if _, since := c.At("", day, now()); !since.Equal(first) {
		t.Errorf("the day is known since %s", since)
	}
	c.Reset()
	c.CaughtUp() // nothing is stored
	c.Count(g)
	if _, since := c.At("", week, now()); !since.IsZero() {
		t.Errorf("the week is known since %s, though the log was empty when the count began", since)
	}
	select {
	case <-c.Complete():
	default:
		t.Error("it is not complete")
	}
	c.Reset()
	if n := c.Entries(); n != 0 {
		t.Errorf("%d entries after a reset", n)
	}
	select {
	case <-c.Complete():
		t.Error("it is complete after a reset")
	default:
	}
}

// TestQuantilesAreOffByLessThanTenPercent compares them with those of the latencies themselves, over intervals and recipients.
func TestQuantilesAreOffByLessThanTenPercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test that can be repeated
	c := timeseries.NewCounter()
	var all []time.Duration
	for range 20_000 {
		took := time.Duration(math.Exp(random.Float64()*16)) * time.Millisecond // 1 ms to 2 h
		all = append(all, took)
		at := now().Add(-time.Duration(random.IntN(3_000)) * time.Second)
		c.Count(deliveredIn(fmt.Sprint("r", random.IntN(7)), at, took))
	}
	slices.Sort(all)
	got := c.Total("", day, now())
	for share, have := range map[float64]time.Duration{0.5: got.GetLatencyP50().AsDuration(), 0.95: got.GetLatencyP95().AsDuration()} {
		want := all[int(math.Ceil(share*float64(len(all))))-1]
		if off := math.Abs(float64(have)/float64(want) - 1); off > 0.1 {
			t.Errorf("quantile %v is %s, want %s: off by %.0f %%", share, have, want, off*100)
		}
	}
	if got.GetDelivered() != int64(len(all)) {
		t.Errorf("%d delivered, want %d", got.GetDelivered(), len(all))
	}
}

// TestManyRecordsTakeBoundedMemoryAndTime counts many records of 5,000 recipients over a week, and reads the series.
func TestManyRecordsTakeBoundedMemoryAndTime(t *testing.T) {
	const records, recipients = 250_000, 5_000
	c := timeseries.NewCounter()
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test that can be repeated
	ids := make([]string, recipients)
	for i := range ids {
		ids[i] = fmt.Sprintf("recipient-%d", i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := now().Add(-7*24*time.Hour + time.Hour)
	step := now().Sub(start) / records
	for i := range records {
		id, at := ids[random.IntN(recipients)], start.Add(time.Duration(i+1)*step)
		if i%10 == 0 {
			c.Count(record(id, delivery.StateRetrying, at))
			continue
		}
		c.Count(deliveredIn(id, at, time.Duration(20+random.ExpFloat64()*200)*time.Millisecond))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc) //nolint:gosec // far below 2^63
	t.Logf("%d records, %d recipients: %d entries, %d MB", records, recipients, c.Entries(), used>>20)
	if got := c.Total("", week, now()); got.GetDelivered() != records*9/10 || got.GetFailedAttempts() != records/10 {
		t.Errorf("it counts %v", got)
	}
	if n := c.Entries(); n > 2*3*records {
		t.Errorf("%d entries, more than three for each record and its share of the sum", n)
	}
	// Entries take 12 bytes, and up to twice that while a list grows.
	if limit := int64(2*12*c.Entries() + recipients*400); used > limit {
		t.Errorf("it takes %d bytes, more than %d", used, limit)
	}
	took := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			c.Total("", week, now())
		}
	})
	t.Logf("the series of a week of all: %s", took)
	if per := took.AllocedBytesPerOp(); per > 1<<20 {
		t.Errorf("an answer takes %d bytes, though its size does not depend on the records", per)
	}
}

func TestRecipientsWithoutDeliveriesTakeNoMemory(t *testing.T) {
	c := timeseries.NewCounter()
	for i := range 1_000 {
		c.Count(record(fmt.Sprint("r", i), delivery.StateDelivered, now()))
	}
	for i := range 9 * 24 {
		c.Count(record("busy", delivery.StateDelivered, now().Add(time.Duration(i)*time.Hour)))
	}
	if n := c.Recipients(); n != 1 {
		t.Errorf("%d recipients take memory, want the busy one", n)
	}
	if n := c.Entries(); n > 2*2*(168+24+1) {
		t.Errorf("%d entries of one recipient with a delivery an hour", n)
	}
}

func TestOfManyQueuesTheLongestAreStored(t *testing.T) {
	x := control.QueueSample{Waiting: map[string]int64{}}
	for i := range 1_500 {
		n := int64(max(i-200, 1))
		x.Total += n
		x.Waiting[fmt.Sprint("r", i)] = n
	}
	got := timeseries.Bounded(x)
	if len(got.Waiting) != 1_000 || !got.More || got.Total != x.Total {
		t.Errorf("%d queues, more: %v", len(got.Waiting), got.More)
	}
	for i := 500; i < 1_500; i++ {
		if got.Waiting[fmt.Sprint("r", i)] != int64(i-200) {
			t.Fatalf("the queue of r%d is missing", i)
		}
	}
}

// BenchmarkCountOfAMillionRecords counts a million records of 5,000 recipients over a week.
func BenchmarkCountOfAMillionRecords(b *testing.B) {
	for b.Loop() {
		c := timeseries.NewCounter()
		start := now().Add(-7*24*time.Hour + time.Hour)
		for i := range 1_000_000 {
			at, took := start.Add(time.Duration(i)*500*time.Millisecond), time.Duration(i%1_000)*time.Millisecond
			c.Count(deliveredIn(fmt.Sprint("r", i%5_000), at, took))
		}
	}
}
