package bus_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/event"
)

func TestRecentEventsAreTheNewestOfTheirTypes(t *testing.T) {
	conn := bustest.Start(t).Conn()
	pub := bus.NewPublisher(conn)
	defer pub.Close()
	recent := func(limit int, types ...string) (ids []string) {
		t.Helper()
		if err := eventlog.New(conn).RecentEvents(t.Context(), types, limit, func(e *event.Event) { ids = append(ids, e.ID) }); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	if got := recent(5); got != nil {
		t.Errorf("of an empty stream came %q", got)
	}
	// One rare event at the bottom, 1,500 of two types above it, and a replay.
	typeOf := func(i int) string {
		if i == 0 {
			return "rare"
		}
		return []string{"even", "odd"}[i%2]
	}
	var last *event.Event
	for i := range 1501 {
		e, faults := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":"e-%d","source":"a%d","type":%q,"time":"2026-11-21T10:00:00Z"}`,
			i, i%3, typeOf(i)))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if _, err := pub.Accept(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		last = e
	}
	if _, err := pub.Replay(t.Context(), "crm", last, bus.Replay{ID: "r1"}); err != nil {
		t.Fatal(err)
	}
	want := func(limit int, types ...string) (ids []string) {
		for i := 1500; i >= 0 && len(ids) < limit; i-- {
			if len(types) == 0 || slices.Contains(types, typeOf(i)) {
				ids = append(ids, fmt.Sprintf("e-%d", i))
			}
		}
		return ids
	}
	for _, c := range []struct {
		limit int
		types []string
	}{
		{1, nil}, {7, nil}, {1000, nil}, {5000, nil}, {3, []string{"rare"}}, {10, []string{"odd"}}, {1000, []string{"odd"}},
		{600, []string{"odd", "rare"}}, {2000, []string{"odd", "rare"}}, {5, []string{"none"}},
	} {
		if got := recent(c.limit, c.types...); !slices.Equal(got, want(c.limit, c.types...)) {
			t.Errorf("%d of %q: got %d: %.200q", c.limit, c.types, len(got), got)
		}
	}
}
