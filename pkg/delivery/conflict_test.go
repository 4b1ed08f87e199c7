package delivery_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// lateLog keeps the records that late picks until they are let go.
type lateLog struct {
	delivery.Log
	late func(delivery.Record) bool
	// over is closed when nothing more is late, goOn when what was kept is let go.
	over, goOn chan struct{}
	// kept gets each record that is kept.
	kept chan delivery.Record
}

func (w *lateLog) AppendAttempt(rec delivery.Record, done func(error)) {
	w.keep(rec, func() { w.Log.AppendAttempt(rec, done) })
}

func (w *lateLog) AppendAfter(rec delivery.Record, sequence uint64, done func(error)) {
	w.keep(rec, func() { w.Log.AppendAfter(rec, sequence, done) })
}

func (w *lateLog) keep(rec delivery.Record, store func()) {
	select {
	case <-w.over:
		store()
		return
	default:
	}
	if !w.late(rec) {
		store()
		return
	}
	go func() { // ends when the test lets it go, before the engine stops
		w.kept <- rec
		<-w.goOn
		store()
	}()
}

// slowly keeps records that late picks.
func (w *fixture) slowly(late func(delivery.Record) bool) *lateLog {
	l := &lateLog{late: late, over: make(chan struct{}), goOn: make(chan struct{}), kept: make(chan delivery.Record, 1000)}
	w.wrap = func(log delivery.Log) delivery.Log {
		l.Log = log
		return l
	}
	return l
}

// states are those of a delivery's records, oldest first.
func (w *fixture) states(recipientID, eventID string) (out []delivery.State) {
	w.t.Helper()
	e := w.event(eventID)
	all, err := w.log.AttemptsOf(w.t.Context(), delivery.Record{Recipient: recipientID, EventID: e.ID, Appliance: e.Appliance, Type: e.Type})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range all {
		out = append(out, r.State)
	}
	return out
}

// oneEnd checks that a delivery has one final record, and that it is the last.
func (w *fixture) oneEnd(recipientID, eventID string) {
	w.t.Helper()
	states := w.states(recipientID, eventID)
	ends := 0
	for _, s := range states {
		if s.Final() {
			ends++
		}
	}
	if ends != 1 || !states[len(states)-1].Final() {
		w.t.Errorf("the records of %s are %v", eventID, states)
	}
}

// TestAnOperatorsChangeWhileARecordIsOnItsWayCounts has a delivery changed after its attempt, before that is stored.
func TestAnOperatorsChangeWhileARecordIsOnItsWayCounts(t *testing.T) {
	cancel := func(r *delivery.Record) { r.CancelAsked, r.Reason = true, reasons.Cancelled }
	extend := func(r *delivery.Record) {
		end := r.Accepted.Add(100 * time.Hour)
		r.Extended, r.Expire, r.Reason = &end, end, reasons.Extended
	}
	end := func(r *delivery.Record) {
		r.State, r.Reason, r.NextAttempt = delivery.StateCancelled, reasons.Cancelled, nil
	}
	for _, x := range []struct {
		name   string
		status int
		change func(*delivery.Record)
		want   delivery.State
		reason reasons.Reason
	}{
		{"cancelled, the attempt failed", 500, cancel, delivery.StateCancelled, reasons.Cancelled},
		{"cancelled, the attempt succeeded", 200, cancel, delivery.StateDelivered, reasons.OK},
		{"extended, the attempt failed", 500, extend, delivery.StateRetrying, reasons.HTTPStatus},
		{"extended, the attempt succeeded", 200, extend, delivery.StateDelivered, reasons.OK},
		{"ended, the attempt failed", 500, end, delivery.StateCancelled, reasons.Cancelled},
		{"ended, the attempt succeeded", 200, end, delivery.StateCancelled, reasons.Cancelled},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newFixture(t)
			w.send = func(d *delivery.Delivery) delivery.Outcome {
				if d.Attempt == 1 {
					return delivery.Outcome{Status: 500}
				}
				return delivery.Outcome{Status: x.status}
			}
			log := w.slowly(func(r delivery.Record) bool { return r.Attempt == 2 && r.LastAttempt != nil })
			w.recipient("r", func(r *recipient.Recipient) { r.Retry.Interval = 400 * time.Millisecond })
			w.publish("e1")
			w.run()
			<-log.kept
			close(log.over)
			rec := w.newest("r", "e1", retrying)
			next := rec.Record
			x.change(&next)
			if err := w.log.AppendChange(t.Context(), next, rec.Sequence); err != nil {
				t.Fatal(err)
			}
			close(log.goOn)
			got := w.newest("r", "e1", func(r delivery.Record) bool { return r.State == x.want && (r.Reason == x.reason) })
			if next.Extended != nil && !got.Expire.Equal(next.Expire) {
				t.Errorf("the end that was set is %v, not %v", got.Expire, next.Expire)
			}
			if x.want.Final() {
				w.drained("r")
				w.oneEnd("r", "e1")
			}
		})
	}
}

func TestAPurgeThatRacesACancelMakesOneEnd(t *testing.T) {
	w := newFixture(t)
	w.failing()
	log := w.slowly(func(r delivery.Record) bool { return r.Reason == reasons.Purged })
	r := w.recipient("r", hourly)
	w.publish("e1")
	w.run()
	rec := w.newest("r", "e1", retrying)
	purged := *r
	purged.PurgedThrough = rec.Record.Sequence
	w.dir.set(&purged)
	w.handedOut("the purge has it in hand", rec.Record.Sequence, func() bool { return len(log.kept) > 0 })
	over := rec.Record
	over.State, over.Reason, over.NextAttempt = delivery.StateCancelled, reasons.Cancelled, nil
	if err := w.log.AppendChange(t.Context(), over, rec.Sequence); err != nil {
		t.Fatal(err)
	}
	close(log.goOn)
	w.drained("r")
	w.oneEnd("r", "e1")
}

// unsure stores records and says that it does not know.
type unsure struct {
	delivery.Log
	wait func()
	once sync.Once
}

func (u *unsure) AppendAttempt(rec delivery.Record, done func(error)) {
	u.Log.AppendAttempt(rec, u.lose(done))
}

func (u *unsure) AppendAfter(rec delivery.Record, sequence uint64, done func(error)) {
	u.Log.AppendAfter(rec, sequence, u.lose(done))
}

func (u *unsure) lose(done func(error)) func(error) {
	return func(err error) {
		lost := false
		u.once.Do(func() { lost = err == nil })
		if !lost {
			done(err)
			return
		}
		go func() {
			u.wait()
			done(errors.New("no answer"))
		}()
	}
}

// TestARecordThatIsRepeatedLateCountsOnce loses the answer to a record, and the broker forgets its message id.
func TestARecordThatIsRepeatedLateCountsOnce(t *testing.T) {
	for name, statuses := range map[string][]int{"delivered": {200}, "failed, then delivered": {500, 200}} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			js, err := jetstream.New(w.conn.IntakeConn())
			if err != nil {
				t.Fatal(err)
			}
			s, err := js.Stream(t.Context(), bus.StreamHistory)
			if err != nil {
				t.Fatal(err)
			}
			cfg := s.CachedInfo().Config
			cfg.Duplicates = 100 * time.Millisecond
			if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			w.send = func(d *delivery.Delivery) delivery.Outcome { return delivery.Outcome{Status: statuses[d.Attempt-1]} }
			// The engine repeats after a second, by when the id is forgotten.
			w.wrap = func(log delivery.Log) delivery.Log { return &unsure{Log: log, wait: func() {}} }
			w.recipient("r")
			w.publish("e1")
			w.run()
			w.final("r", "e1", "")
			w.drained("r")
			w.oneEnd("r", "e1")
			if got := w.states("r", "e1"); len(got) != len(statuses) {
				t.Errorf("of %d attempts the records are %v", len(statuses), got)
			}
			w.onceEach("r", len(statuses))
		})
	}
}

// TestARecipientThatChangesMeanwhileIsNotSentTheSameTwice has records late while their recipient's bounds change, or it goes and
// comes back.
func TestARecipientThatChangesMeanwhileIsNotSentTheSameTwice(t *testing.T) {
	for name, change := range map[string]func(w *fixture, r recipient.Recipient){
		"wider":    func(w *fixture, r recipient.Recipient) { r.MaxInFlight = 12; w.dir.set(&r) },
		"narrower": func(w *fixture, r recipient.Recipient) { r.MaxInFlight = 4; w.dir.set(&r) },
		"strict":   func(w *fixture, r recipient.Recipient) { r.Order = recipient.Strict; w.dir.set(&r) },
		"away": func(w *fixture, r recipient.Recipient) {
			seen := w.dir.listed.Load()
			w.dir.remove(r.ID)
			w.until("the engine has seen it", func() bool { return w.dir.listed.Load() > seen })
			w.dir.set(&r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			log := w.slowly(func(r delivery.Record) bool { return r.EventID != "other" })
			r := w.recipient("r", func(r *recipient.Recipient) { r.MaxInFlight = 8 })
			w.recipient("well")
			w.run()
			ids := names("e-", 6)
			w.publish(ids...)
			var sequences []uint64
			for range ids {
				sequences = append(sequences, (<-log.kept).Sequence)
			}
			change(w, *r)
			// They are handed out again, as after their ack wait. The neighbour shows that the engine has seen the change.
			for i := range 20 {
				if err := queue.New(w.conn).RedeliverNow(t.Context(), recipient.HTTP, "r", sequences); err != nil {
					t.Fatal(err)
				}
				id := fmt.Sprint("other-", i)
				w.publish(id)
				w.until("the neighbour gets its own", func() bool { return w.count("well", id) == 1 })
			}
			close(log.goOn)
			w.drained("r")
			w.onceEach("r", 1)
			for _, id := range ids {
				w.oneEnd("r", id)
			}
		})
	}
}

// TestEachDeliveryEndsOnceWhateverIsDoneToIt has two senders deliver while somebody cancels, extends and hurries, and then purges.
func TestEachDeliveryEndsOnceWhateverIsDoneToIt(t *testing.T) {
	w := newFixture(t)
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		return delivery.Outcome{Status: []int{200, 500, 500, 500, 500}[rand.IntN(5)]}
	}
	r := w.recipient("r", func(r *recipient.Recipient) {
		r.Retry = recipient.Retry{Interval: 50 * time.Millisecond, Duration: 3 * time.Second}
	})
	w.run()
	first := w.stop
	w.run()
	second := w.stop
	w.stop = func() { first(); second() }
	ids := names("e-", 150)
	w.publish(ids...)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 150 {
				w.meddle(ids[rand.IntN(len(ids))])
			}
		})
	}
	wg.Wait()
	last, err := eventlog.New(w.conn).LastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	purged := *r
	purged.PurgedThrough = last
	w.dir.set(&purged)
	if _, err := queue.NewDelayed(w.conn, recipient.HTTP, "r").Expedite(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	w.drained("r")
	ends := map[delivery.State]int{}
	for _, id := range ids {
		w.oneEnd("r", id)
		states := w.states("r", id)
		ends[states[len(states)-1]]++
	}
	t.Logf("%v", ends)
}

// meddle does something to a delivery, as the history service would.
func (w *fixture) meddle(id string) {
	list, err := w.log.Attempts(w.t.Context(), deliverylog.AttemptFilter{Recipient: "r", EventID: id}, 0, 1)
	if err != nil {
		w.t.Error(err)
		return
	}
	if len(list) == 0 || list[0].State.Final() {
		return
	}
	rec, now := list[0].Record, time.Now()
	switch rand.IntN(3) {
	case 0:
		rec.CancelAsked, rec.Reason = true, reasons.Cancelled
	case 1:
		end := now.Add(time.Hour)
		rec.Extended, rec.Expire, rec.Reason = &end, end, reasons.Extended
	default:
		rec.Reason, rec.NextAttempt = reasons.SendNow, &now
	}
	if err := w.log.AppendChange(w.t.Context(), rec, list[0].Sequence); err != nil && !errors.Is(err, bus.ErrConflict) {
		w.t.Error(err)
	}
}
