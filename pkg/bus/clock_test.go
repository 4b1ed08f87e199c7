package bus_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// skews are clocks that are wrong, some only a little.
func skews() []time.Duration {
	return []time.Duration{2 * time.Hour, -2 * time.Hour, 8 * 24 * time.Hour, 500 * time.Millisecond, -3 * time.Second}
}

// near is how much the broker's clock may be misjudged on a machine whose cores are busy.
const near = 250 * time.Millisecond

func TestTheBrokersTimeIsKnownToAHostWhoseClockIsWrong(t *testing.T) {
	b := bustest.Start(t)
	for _, ahead := range skews() {
		c := b.ConnAt(bustest.NewClock(ahead).Now)
		if off := time.Since(c.Now()).Abs(); off > near {
			t.Errorf("a clock that is %s ahead: the broker's is misjudged by %s", ahead, off)
		}
		if off := (c.ClockOffset() - ahead).Abs(); off > near {
			t.Errorf("a clock that is %s ahead is taken to be %s ahead", ahead, c.ClockOffset())
		}
		if since := time.Since(c.Since()); since < 0 || since > time.Minute {
			t.Errorf("a clock that is %s ahead: the connection began %s ago", ahead, since)
		}
	}
}

func TestARightClockIsTakenAsItIs(t *testing.T) {
	c := bustest.Start(t).Conn()
	for range 3 {
		if err := c.MeasureClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		if off := c.ClockOffset().Abs(); off > time.Millisecond {
			t.Errorf("the broker of the same host is taken to be %s off", off)
		}
	}
}

func TestAStepOfTheHostsClockDoesNotChangeTheBrokersTime(t *testing.T) {
	b, clock := bustest.Start(t), bustest.NewClock(0)
	c := b.ConnAt(clock.Now)
	for _, step := range []time.Duration{2 * time.Hour, -2 * time.Hour, 0} {
		before := c.Now()
		clock.Set(step)
		if moved := c.Now().Sub(before); moved < 0 || moved > time.Minute {
			t.Errorf("a step to %s ahead moves the broker's time by %s", step, moved)
		}
		if off := (c.ClockOffset() - step).Abs(); off > near {
			t.Errorf("after a step to %s ahead the clock is taken to be %s ahead", step, c.ClockOffset())
		}
		if err := c.MeasureClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		if off := time.Since(c.Now()).Abs(); off > near {
			t.Errorf("after a step to %s ahead the broker's clock is misjudged by %s", step, off)
		}
	}
}

// A process may be there before the streams: the broker's time is waited for.
func TestTheBrokersTimeIsAwaitedUntilThereAreStreams(t *testing.T) {
	b := bustest.Start(t)
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	c, err := bus.Connect(ctx, bus.Options{URL: b.URL(), Clock: bustest.NewClock(2 * time.Hour).Now})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.ClockOffset() != 0 {
		t.Errorf("an offset of %s is known before there are streams", c.ClockOffset())
	}
	b.Conn() // makes them
	if err := c.AwaitClock(ctx); err != nil {
		t.Fatal(err)
	}
	if off := time.Since(c.Now()).Abs(); off > near {
		t.Errorf("the broker's clock is misjudged by %s", off)
	}
}

// watch reports a clock through a connection, and returns how to read its latest notice.
func watch(t *testing.T, c *bus.Conn) func() string {
	t.Helper()
	var mu sync.Mutex
	var text string
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		control.New(c).WatchClock(ctx, control.ClockWatcher{Name: "http-sender", Observe: func(float64) {}, Notify: func(s string) {
			mu.Lock()
			defer mu.Unlock()
			text = s
		}})
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return text
	}
}

func TestANoticeNamesTheProcessAndTheOffsetUntilTheClockIsRight(t *testing.T) {
	clock := bustest.NewClock(0)
	said := watch(t, bustest.Start(t).ConnAt(clock.Now))
	for _, c := range []struct {
		ahead time.Duration
		says  string
	}{
		{2 * time.Hour, "The clock of http-sender is 2h0m0s ahead of the broker's:"},
		{-2 * time.Hour, "The clock of http-sender is 2h0m0s behind the broker's:"},
		{0, ""},
		{10 * time.Second, "The clock of http-sender is 10s ahead of the broker's:"},
	} {
		clock.Set(c.ahead)
		waittest.Until(t, "the notice of a clock "+c.ahead.String()+" ahead", func() bool {
			text := said()
			return strings.HasPrefix(text, c.says) && (c.says != "") == (text != "")
		})
	}
}

func TestAnOffsetThatAllProcessesHaveIsTheBrokers(t *testing.T) {
	text := func(name string) []string { return []string{"The clock of " + name + " is off.", "The disk is full."} }
	p := func(instance string, offset float64) control.Presence {
		return control.Presence{Name: instance, Instance: instance, ClockOffset: offset, Notices: text(instance)}
	}
	for _, c := range []struct {
		name   string
		all    []control.Presence
		shared string
	}{
		{"all", []control.Presence{p("a", 7200), p("b", 7200.4), p("c", 7199.8)}, "The broker's clock is 2h0m0s behind those of all processes"},
		{"all behind", []control.Presence{p("a", -60), p("b", -60)}, "The broker's clock is 1m0s ahead of those of all processes"},
		{"one", []control.Presence{p("a", 7200), p("b", 0)}, ""},
		{"each another", []control.Presence{p("a", 7200), p("b", 60)}, ""},
		{"there is one process", []control.Presence{p("a", 7200)}, ""},
	} {
		left, shared := control.WithoutSharedClock(c.all)
		if !strings.HasPrefix(shared, c.shared) || (shared == "") != (c.shared == "") {
			t.Errorf("%s: %q", c.name, shared)
		}
		want := 2
		if c.shared != "" {
			want = 1
		}
		for _, x := range left {
			if len(x.Notices) != want {
				t.Errorf("%s: %q is left", c.name, x.Notices)
			}
		}
	}
}
