package bus_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func newEvent(t testing.TB, id string) *event.Event {
	t.Helper()
	e, v := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"a1","type":"support_conference_begin","time":%q,"subject":"s1","data":{"external_key":"INC 1.*>"}}`,
		id, time.Now().UTC().Format(time.RFC3339)))
	if len(v) > 0 {
		t.Fatal(v)
	}
	return e
}

func TestAcceptedEventsAreStoredOnceHoweverManyPublishAtOnce(t *testing.T) {
	b := bustest.Start(t)
	c := b.Conn()
	p := bus.NewPublisher(c)
	defer p.Close()
	const publishers, each = 64, 40
	var wg sync.WaitGroup
	var repeats atomic.Int64
	seen := sync.Map{}
	for i := range publishers {
		wg.Go(func() {
			for j := range each {
				// Every tenth id is published by all publishers.
				id := fmt.Sprintf("e-%d-%d", i, j)
				if j%10 == 0 {
					id = fmt.Sprintf("shared-%d", j)
				}
				r, err := p.Accept(t.Context(), newEvent(t, id))
				if err != nil {
					t.Errorf("accept %s: %v", id, err)
					return
				}
				if r.Duplicate {
					repeats.Add(1)
				}
				if before, loaded := seen.LoadOrStore(id, r.Sequence); loaded && before != r.Sequence {
					t.Errorf("%s has sequences %d and %d", id, before, r.Sequence)
				}
			}
		})
	}
	wg.Wait()
	want := publishers*(each-each/10) + each/10
	st, err := control.New(c).StreamStates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st[0].Name != bus.StreamEvents || st[0].Messages != uint64(want) {
		t.Errorf("stored %d, want %d", st[0].Messages, want)
	}
	if got := int(repeats.Load()); got != publishers*each-want {
		t.Errorf("%d answered as duplicates, want %d", got, publishers*each-want)
	}
	e, err := eventlog.New(c).StoredEvent(t.Context(), 1)
	if err != nil || e.Appliance != "a1" {
		t.Errorf("read back: %v, %v", e, err)
	}
	if _, err := eventlog.New(c).StoredEvent(t.Context(), uint64(want)+1); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestStoredEventsCarryNoBatchHeadersThatAReplayWouldRepeat(t *testing.T) {
	c := bustest.Start(t).Conn()
	p := bus.NewPublisher(c)
	defer p.Close()
	e := newEvent(t, "e-1")
	for i := range 3 {
		if _, err := p.Replay(t.Context(), "r1", e, bus.Replay{ID: fmt.Sprintf("replay%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := p.Replay(t.Context(), "r1", e, bus.Replay{ID: "replay1"}); err != nil || !r.Duplicate {
		t.Errorf("the same replay again: %+v, %v", r, err)
	}
	if last, err := eventlog.New(c).LastSequence(t.Context()); err != nil || last != 3 {
		t.Errorf("last sequence %d, %v", last, err)
	}
}

func TestAFullStreamRefusesAndDropsNothing(t *testing.T) {
	b := bustest.Start(t)
	c := b.Conn()
	o := bustest.StreamOptions()
	o.EventsMaxBytes = 64 << 10
	if err := c.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	p := bus.NewPublisher(c)
	defer p.Close()
	var wg sync.WaitGroup
	var ok, full atomic.Int64
	for i := range 600 {
		wg.Go(func() {
			_, err := p.Accept(t.Context(), newEvent(t, fmt.Sprintf("%d-%s", i, strings.Repeat("x", 100))))
			switch {
			case err == nil:
				ok.Add(1)
			case errors.Is(err, bus.ErrFull):
				full.Add(1)
			default:
				t.Errorf("accept: %v", err)
			}
		})
	}
	wg.Wait()
	st, err := control.New(c).StreamStates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ok.Load() == 0 || full.Load() == 0 || st[0].Messages != uint64(ok.Load()) {
		t.Errorf("accepted %d, refused %d, stored %d", ok.Load(), full.Load(), st[0].Messages)
	}
}

func TestPublishingGoesOnAfterTheBrokerRestarts(t *testing.T) {
	b := bustest.Start(t)
	c := b.Conn()
	p := bus.NewPublisher(c)
	defer p.Close()
	var wg sync.WaitGroup
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	half := make(chan struct{})
	const n = 300
	for i := range n {
		wg.Go(func() {
			if i >= n/2 {
				<-half
			}
			if _, err := p.Accept(ctx, newEvent(t, fmt.Sprintf("e-%d", i))); err != nil {
				t.Errorf("accept e-%d: %v", i, err)
			}
		})
	}
	b.Stop()
	close(half)
	b.Restart()
	wg.Wait()
	st, err := control.New(c).StreamStates(ctx)
	if err != nil || st[0].Messages != n {
		t.Errorf("stored %v, want %d (%v)", st, n, err)
	}
}

func TestAForeignStreamOfTheSameNameIsAnErrorNotRepaired(t *testing.T) {
	b := bustest.Start(t)
	nc := b.Conn().IntakeConn()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), bus.StreamHistory); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: bus.StreamHistory, Subjects: []string{"else.>"}}); err != nil {
		t.Fatal(err)
	}
	c, err := bus.Connect(t.Context(), bus.Options{URL: b.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.EnsureStreams(t.Context(), bustest.StreamOptions()); err == nil || !strings.Contains(err.Error(), bus.StreamHistory) {
		t.Errorf("a foreign stream: %v", err)
	}
}
