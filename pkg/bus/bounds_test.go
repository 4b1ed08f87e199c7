package bus_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// states are the streams by name.
func states(t *testing.T, c *bus.Conn) map[string]control.StreamState {
	t.Helper()
	all, err := control.New(c).StreamStates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]control.StreamState{}
	for _, x := range all {
		out[x.Name] = x
	}
	return out
}

func TestEveryStreamIsBoundedByDefault(t *testing.T) {
	c := bustest.Start(t).Conn()
	if err := c.EnsureStreams(t.Context(), bus.DefaultStreamOptions()); err != nil {
		t.Fatal(err)
	}
	all := states(t, c)
	if len(all) != 3 {
		t.Fatalf("there are %d streams, want 3", len(all))
	}
	for name, x := range all {
		if x.MaxBytes == 0 || x.MaxAge == 0 || x.MaxAge > 8*24*time.Hour {
			t.Errorf("stream %s is not bounded: %+v", name, x)
		}
	}
	if n := all[bus.StreamHistory].MaxMessages; n != 500_000 {
		t.Errorf("the log keeps %d records, want 500,000", n)
	}
}

func TestTheLogDropsItsOldestRecordsByCountAndByBytes(t *testing.T) {
	c := bustest.Start(t).Conn()
	h := deliverylog.New(c)
	defer h.Close()
	n := 0
	record := func(count int) {
		t.Helper()
		done := make(chan error, count)
		for range count {
			r := attemptNumber(n, delivery.StateDelivered, true)
			r.Excerpt = []byte(strings.Repeat("x", 700))
			n++
			h.AppendAttempt(r, func(err error) { done <- err })
		}
		for range count {
			if err := unlessStored(<-done); err != nil {
				t.Fatal(err)
			}
		}
	}
	bound := func(messages, bytes int64) control.StreamState {
		t.Helper()
		o := bustest.StreamOptions()
		o.HistoryMaxRecords, o.HistoryMaxBytes = messages, bytes
		if err := c.EnsureStreams(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		record(200)
		return states(t, c)[bus.StreamHistory]
	}
	if x := bound(100, 64<<20); x.Messages != 100 || x.UsedPercent() != 100 || x.LastSequence != 200 {
		t.Errorf("with 100 records at most it is %+v (%d %%)", x, x.UsedPercent())
	}
	if x := bound(100_000, 64<<10); x.Bytes > 64<<10 || x.Messages == 0 || x.Messages >= 200 || x.UsedPercent() < 90 || x.LastSequence != 400 {
		t.Errorf("with 64 KiB at most it is %+v (%d %%)", x, x.UsedPercent())
	}
}

func TestAFullStreamOfEventsRefusesAndKeepsWhatItHas(t *testing.T) {
	c := bustest.Start(t).Conn()
	o := bustest.StreamOptions()
	o.EventsMaxBytes = 64 << 10
	if err := c.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	p := bus.NewPublisher(c)
	defer p.Close()
	accepted := uint64(0)
	for i := range 1_000 {
		_, err := p.Accept(t.Context(), newEvent(t, fmt.Sprintf("%d-%s", i, strings.Repeat("x", 100))))
		if errors.Is(err, bus.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		accepted++
	}
	x := states(t, c)[bus.StreamEvents]
	if accepted == 0 || accepted == 1_000 || x.Messages != accepted || x.Bytes > x.MaxBytes || x.UsedPercent() < 90 || x.FirstTime.IsZero() {
		t.Errorf("%d events were accepted and the stream is %+v (%d %%)", accepted, x, x.UsedPercent())
	}
}
