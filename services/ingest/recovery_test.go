package ingest_test

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/services/ingest"
)

// accepted stores events as a process does that ends before it has recorded them, and returns their sequences by id.
func (h *fixture) accepted(appliance string, n int) map[string]uint64 {
	h.t.Helper()
	p := bus.NewPublisher(h.bus)
	defer p.Close()
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[string]uint64{}
	for i := range n {
		e, violations := event.Decode(eventJSON(appliance, fmt.Sprint("e-", i)))
		if violations != nil {
			h.t.Fatal(violations)
		}
		wg.Add(1)
		p.AcceptAsync(h.t.Context(), e, func(r bus.Receipt, err error) {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			if out[e.ID] = r.Sequence; err != nil {
				h.t.Error(err)
			}
		})
	}
	wg.Wait()
	return out
}

// recordSome records what was accepted up to a sequence.
func (h *fixture) recordSome(appliance string, accepted map[string]uint64, through uint64) {
	h.t.Helper()
	var wg sync.WaitGroup
	for id, sequence := range accepted {
		if sequence <= through {
			wg.Add(1)
			h.history.AppendIntake(event.IntakeRecord{Accepted: true, Appliance: appliance, EventID: id, Type: kind, Time: time.Now(),
				Sequence: sequence, Via: "http"},
				func(error) { wg.Done() })
		}
	}
	wg.Wait()
}

// recordedAs checks that each event has one record, with its sequence.
func (h *fixture) recordedAs(appliance string, accepted map[string]uint64) {
	h.t.Helper()
	h.until(func() error {
		for id, sequence := range accepted {
			rec, found, err := h.history.Intake(h.t.Context(), appliance, id)
			if err != nil || !found {
				return fmt.Errorf("%s, accepted at %d, has no record: %w", id, sequence, err)
			}
			if rec.Sequence != sequence {
				return fmt.Errorf("%s, accepted at %d, is recorded at %d", id, sequence, rec.Sequence)
			}
		}
		return nil
	})
	if last, err := h.history.LastSequence(h.t.Context()); err != nil || last != uint64(len(accepted)) {
		h.t.Errorf("%d records tell of %d events, %v", last, len(accepted), err)
	}
}

// A process that ends between its reply and the record leaves an event that nobody finds by its id.
func TestEventsOfAProcessThatDiedAreRecordedAtTheNextStart(t *testing.T) {
	const n = 350
	for _, c := range []struct {
		name string
		// recorded is how many have a record, mark how far the process that died says so; 0: it left no mark.
		recorded, mark uint64
	}{
		{"all behind the mark", 100, 100}, {"some behind the mark", 100, 40}, {"no mark", 100, 0}, {"no record at all", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var accepted map[string]uint64
			o := defaults()
			o.before = func(h *fixture) {
				accepted = h.accepted("a-1", n)
				h.recordSome("a-1", accepted, c.recorded)
				if c.mark > 0 {
					must(t, control.New(h.bus).PutIntakeMark(t.Context(), control.IntakeMark{Process: "died", Sequence: c.mark}))
				}
				p := bus.NewPublisher(h.bus)
				defer p.Close()
				e, _ := event.Decode(eventJSON("a-1", "e-1"))
				_, err := p.Replay(t.Context(), "r1", e, bus.Replay{ID: "again"})
				must(t, err)
			}
			h := open(t, o, "a-1")
			for id, sequence := range accepted {
				// Without a time it may be a repeat of any age.
				if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", id, "time", "")); !r.Duplicate ||
					r.Sequence.String() != fmt.Sprint(sequence) {
					t.Fatalf("%s, accepted at %d: %+v", id, sequence, r)
				}
				if sequence%50 == 0 {
					break
				}
			}
			h.recordedAs("a-1", accepted)
			rec, _, err := h.history.Intake(t.Context(), "a-1", "e-349")
			must(t, err)
			stored, _, err := deliverylog.EventByKey(t.Context(), h.bus, "a-1", "e-349")
			must(t, err)
			if !rec.Recovered || rec.Via != "" || rec.ExternalKey != "INC-1" || rec.Session != "s1" || rec.EventTime == nil ||
				!rec.EventTime.Equal(stored.Time) {
				t.Errorf("%+v", rec)
			}
		})
	}
}

// An old event may have been accepted by a process that died. Whether it is a repeat is known only once that is made up for.
func TestARepeatIsToldWhileRecordsAreStillMadeUpFor(t *testing.T) {
	const n = 2_000
	var accepted map[string]uint64
	o := defaults()
	o.before = func(h *fixture) {
		h.alter(bus.StreamEvents, func(c *jetstream.StreamConfig) { c.Duplicates = 100 * time.Millisecond }) // so that the stream itself forgets
		accepted = h.accepted("a-1", n)
	}
	h := open(t, o, "a-1")
	var last string
	for id, sequence := range accepted {
		if sequence == n {
			last = id
		}
	}
	old := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	raw := eventJSON("a-1", last, "time", fmt.Sprintf("%q", old))
	r := h.post(tokenOf("a-1"), "application/json", raw)
	if r.Status != 200 || !r.Duplicate || r.Sequence.String() != fmt.Sprint(n) {
		t.Fatalf("a repeat of an event that was accepted at %d: %+v", n, r)
	}
	rec, found, err := h.history.Intake(t.Context(), "a-1", last)
	if err != nil || !found || !rec.Recovered {
		t.Errorf("it was answered before it was made up for: %+v, %v, %v", rec, found, err)
	}
}

func TestSeveralProcessesMakeUpForTheSameRecordsOnce(t *testing.T) {
	const n = 1_500
	var accepted map[string]uint64
	o := defaults()
	o.before = func(h *fixture) { accepted = h.accepted("a-1", n) }
	h := open(t, o, "a-1")
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	for range 3 {
		more, err := ingest.New(o.options, ingest.Deps{Bus: h.bus, Config: h.config, Logger: quiet})
		must(t, err)
		h.background(more.Run)
	}
	h.recordedAs("a-1", accepted)
}

// alter changes how a stream is configured.
func (h *fixture) alter(stream string, change func(*jetstream.StreamConfig)) {
	h.t.Helper()
	js, err := jetstream.New(h.bus.IntakeConn())
	must(h.t, err)
	s, err := js.Stream(h.t.Context(), stream)
	must(h.t, err)
	c := s.CachedInfo().Config
	change(&c)
	_, err = js.UpdateStream(h.t.Context(), c)
	must(h.t, err)
}

// What the log refuses is written when it takes it.
func TestARecordThatWasRefusedIsMadeUpFor(t *testing.T) {
	h := open(t, defaults(), "a-1")
	h.alter(bus.StreamHistory, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 10 })
	if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "e-1")); r.Status != 200 || r.Duplicate {
		t.Fatalf("%+v", r)
	}
	h.until(func() error {
		if h.counts.of("unrecorded") == 0 {
			return fmt.Errorf("the record was not refused")
		}
		return nil
	})
	must(t, h.bus.EnsureStreams(t.Context(), defaults().streams))
	h.recordedAs("a-1", map[string]uint64{"e-1": 1})
}

func TestAMarkTellsHowFarAProcessCameUntilAnotherHasMadeUpForIt(t *testing.T) {
	o := defaults()
	o.before = func(h *fixture) {
		h.accepted("a-1", 10)
		must(t, control.New(h.bus).PutIntakeMark(t.Context(), control.IntakeMark{Process: "ended", Sequence: 4, Ended: true}))
		must(t, control.New(h.bus).PutIntakeMark(t.Context(), control.IntakeMark{Process: "lives", Sequence: 7}))
	}
	h := open(t, o, "a-1")
	marks := func() map[string]control.IntakeMark {
		all, err := control.New(h.bus).IntakeMarks(t.Context())
		must(t, err)
		out := map[string]control.IntakeMark{}
		for _, m := range all {
			out[m.Process] = m
		}
		return out
	}
	h.until(func() error {
		if m, ok := marks()["ended"]; ok {
			return fmt.Errorf("the mark of a process that ended stays: %+v", m)
		}
		return nil
	})
	if m := marks()["lives"]; m.Sequence != 7 {
		t.Errorf("the mark of a process that lives: %+v", m)
	}
	if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "new")); r.Sequence != "11" {
		t.Fatalf("%+v", r)
	}
	h.stop()
	for process, m := range marks() {
		if process != "lives" && (m.Sequence != 11 || !m.Ended) {
			t.Errorf("after a clean stop the mark is %+v", m)
		}
	}
	if n := len(marks()); n != 2 {
		t.Errorf("%d marks are left, want 2", n)
	}
}
