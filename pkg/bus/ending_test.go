package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
)

// endsWithin is how long the end of a process may take when the broker is away.
const endsWithin = 10 * time.Second

// impatient is a connection that repeats an event for a moment alone.
func impatient(t *testing.T, b *bustest.Server) *bus.Conn {
	t.Helper()
	b.Conn() // makes the streams
	c, err := bus.Connect(t.Context(), bus.Options{URL: b.URL(), RepeatFor: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func intake(e *event.Event) event.IntakeRecord {
	return event.IntakeRecord{Accepted: true, Appliance: e.Appliance, EventID: e.ID, Type: e.Type, Sequence: 1, Time: time.Now(), Via: "nats"}
}

func TestRecordsWaitForABrokerThatIsAwayLongerThanEventsDo(t *testing.T) {
	b := bustest.Start(t)
	c := impatient(t, b)
	h, p := deliverylog.New(c), bus.NewPublisher(c)
	defer h.Close()
	defer p.Close()
	b.Stop()
	e := newEvent(t, "e-1")
	taken, tried := make(chan error, 1), make(chan error, 1)
	h.AppendIntake(intake(e), func(err error) { taken <- err })
	h.AppendAttempt(record(e, "r1", 1, delivery.StateDelivered), func(err error) { tried <- err })
	// Each of these is repeated for as long as an event is, so that the records have been for longer.
	for i := range 3 {
		if _, err := p.Accept(t.Context(), newEvent(t, fmt.Sprint("lost-", i))); err == nil {
			t.Fatal("an event was accepted while the broker was away")
		}
	}
	b.Restart()
	if err := errors.Join(<-taken, <-tried); err != nil {
		t.Fatal(err)
	}
	if _, found, err := h.Intake(t.Context(), "a1", "e-1"); !found || err != nil {
		t.Errorf("the acceptance is recorded: %v, %v", found, err)
	}
	if rec, found, err := h.Latest(t.Context(), "r1", e, ""); found == 0 || err != nil || rec.State != delivery.StateDelivered {
		t.Errorf("the attempt is recorded: %+v, %v, %v", rec, found, err)
	}
}

// logged collects what the default logger writes until the test ends.
func logged(t *testing.T) func() string {
	t.Helper()
	var mu sync.Mutex
	var b bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	}), nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return b.String()
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// A process ends though the broker is away, or is there and stores nothing. Everything handed over has an answer then, and the log
// counts what was given up.
func TestTheEndDoesNotWaitForABrokerThatAnswersNothing(t *testing.T) {
	for name, silence := range map[string]func(*bustest.Server){
		"away": (*bustest.Server).Stop, "without JetStream": (*bustest.Server).StopJetStream,
	} {
		for _, told := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, told of the end: %v", name, told), func(t *testing.T) {
				log := logged(t)
				b := bustest.Start(t)
				c := b.Conn()
				h, p := deliverylog.New(c), bus.NewPublisher(c)
				silence(b)
				const records, events = 1500, 20
				answers := make(chan error, records+events)
				for i := range records {
					h.AppendIntake(intake(newEvent(t, fmt.Sprint("e-", i))), func(err error) { answers <- err })
				}
				for i := range events {
					go func() {
						_, err := p.Accept(context.Background(), newEvent(t, fmt.Sprint("e-", i)))
						answers <- err
					}()
				}
				began := time.Now()
				if told {
					c.Ending()
				}
				h.Close()
				p.Close()
				c.Close()
				most := endsWithin
				if !told { // each of the two finds out for itself
					most += endsWithin / 2
				}
				if took := time.Since(began); took > most {
					t.Errorf("the end took %v", took)
				}
				for range records + events {
					if err := <-answers; !errors.Is(err, bus.ErrGivenUp) && !errors.Is(err, bus.ErrClosed) {
						t.Fatalf("what was handed over ended with: %v", err)
					}
				}
				if out := log(); !strings.Contains(out, fmt.Sprintf("stream=HISTORY messages=%d", records)) {
					t.Errorf("the log does not count what was given up: %s", out)
				}
			})
		}
	}
}

func TestTheEndWaitsForABrokerThatComesBack(t *testing.T) {
	b := bustest.Start(t)
	c := b.Conn()
	h := deliverylog.New(c)
	b.Stop()
	const n = 300
	answers := make(chan error, n)
	for i := range n {
		h.AppendIntake(intake(newEvent(t, fmt.Sprint("e-", i))), func(err error) { answers <- err })
	}
	c.Ending()
	b.Restart()
	h.Close()
	for range n {
		if err := <-answers; err != nil {
			t.Fatalf("a record was not stored: %v", err)
		}
	}
	if n, err := h.LastSequence(t.Context()); n != 300 || err != nil {
		t.Errorf("%d records are stored, %v", n, err)
	}
}
