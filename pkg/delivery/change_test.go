package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// newest waits for a delivery's newest record to be as asked for.
func (w *fixture) newest(recipientID, eventID string, ok func(delivery.Record) bool) (found deliverylog.StoredRecord) {
	w.t.Helper()
	w.until(eventID+" at "+recipientID+" is as it should be", func() bool {
		list, err := w.log.Attempts(w.t.Context(), deliverylog.AttemptFilter{Recipient: recipientID, EventID: eventID}, 0, 1)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(list) == 1 {
			found = list[0]
		}
		return len(list) == 1 && ok(list[0].Record)
	})
	return found
}

func retrying(r delivery.Record) bool { return r.State == delivery.StateRetrying }

// hourly has retries an hour apart, so that what happens sooner was made to.
func hourly(r *recipient.Recipient) {
	r.Retry = recipient.Retry{Interval: time.Hour, Duration: 24 * time.Hour}
}

// failing fails until mended.
func (w *fixture) failing() (mend func()) {
	var mended atomic.Bool
	w.send = func(*delivery.Delivery) delivery.Outcome {
		if mended.Load() {
			return delivery.Outcome{Status: 200}
		}
		return delivery.Outcome{Status: 500}
	}
	return func() { mended.Store(true) }
}

func TestADelayedMessageIsHandedOutAtOnceByItsSequence(t *testing.T) {
	w := newFixture(t)
	mend := w.failing()
	w.recipient("r", hourly)
	w.publish("e1", "e2")
	w.run()
	for _, id := range []string{"e1", "e2"} {
		w.newest("r", id, retrying)
	}
	mend()
	rec := w.newest("r", "e1", retrying)
	now := time.Now()
	next := rec.Record
	next.NextAttempt, next.Reason, next.Actor = &now, reasons.SendNow, "somebody"
	if err := w.log.AppendChange(t.Context(), next, rec.Sequence); err != nil {
		t.Fatal(err)
	}
	if err := queue.New(w.conn).RedeliverNow(t.Context(), recipient.HTTP, "r", []uint64{next.Sequence, 999}); err != nil {
		t.Fatal(err)
	}
	got := w.final("r", "e1", "")
	if got.State != delivery.StateDelivered || got.Attempt != 2 {
		t.Errorf("it became %s in attempt %d", got.State, got.Attempt)
	}
	if e2 := w.newest("r", "e2", retrying); e2.Attempt != 1 {
		t.Errorf("the other was tried %d times", e2.Attempt)
	}
	if err := w.log.AppendChange(t.Context(), next, rec.Sequence+100); err == nil {
		t.Error("a change of a record that is not the newest was stored")
	}
}

func TestACancelledDelayedMessageIsGone(t *testing.T) {
	w := newFixture(t)
	w.failing()
	w.recipient("r", hourly)
	w.publish("e1")
	w.run()
	rec := w.newest("r", "e1", retrying)
	over := rec.Record
	over.State, over.Reason, over.NextAttempt = delivery.StateCancelled, reasons.Cancelled, nil
	if err := w.log.AppendChange(t.Context(), over, rec.Sequence); err != nil {
		t.Fatal(err)
	}
	if err := queue.New(w.conn).AckBySequence(t.Context(), recipient.HTTP, "r", []uint64{over.Sequence}); err != nil {
		t.Fatal(err)
	}
	w.drained("r")
	if n := len(w.attempts("r")); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

// TestAnOperatorsChangeDuringAnAttemptCounts changes a delivery while a sender has it in hand.
func TestAnOperatorsChangeDuringAnAttemptCounts(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(*delivery.Record)
		check  func(delivery.Record) bool
	}{
		{"cancelled", func(r *delivery.Record) { r.CancelAsked, r.Reason = true, reasons.Cancelled }, func(r delivery.Record) bool {
			return r.State == delivery.StateCancelled && r.Reason == reasons.Cancelled && r.Attempt == 2
		}},
		{"extended", func(r *delivery.Record) {
			end := r.Accepted.Add(100 * time.Hour)
			r.Extended, r.Expire, r.Reason = &end, end, reasons.Extended
		}, func(r delivery.Record) bool {
			return r.State == delivery.StateRetrying && r.Attempt >= 3 && r.Expire.Equal(r.Accepted.Add(100*time.Hour))
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newFixture(t)
			inHand, goOn := make(chan struct{}), make(chan struct{})
			w.send = func(d *delivery.Delivery) delivery.Outcome {
				if d.Attempt == 2 {
					close(inHand)
					<-goOn
				}
				return delivery.Outcome{Status: 500}
			}
			w.recipient("r")
			w.publish("e1")
			w.run()
			<-inHand
			rec := w.newest("r", "e1", retrying)
			next := rec.Record
			x.change(&next)
			if err := w.log.AppendChange(t.Context(), next, rec.Sequence); err != nil {
				t.Fatal(err)
			}
			close(goOn)
			w.newest("r", "e1", x.check)
		})
	}
}

func TestAnExtendedDeliveryOutlivesItsRetryDuration(t *testing.T) {
	w := newFixture(t)
	mend := w.failing()
	r := w.recipient("r")
	w.publish("kept", "lost")
	w.run()
	var end time.Time
	waittest.NoError(t, "the extension to be stored before the next attempt", func() error {
		rec := w.newest("r", "kept", retrying)
		next := rec.Record
		end = next.Accepted.Add(2 * time.Hour)
		next.Extended, next.Expire, next.Reason = &end, end, reasons.Extended
		return w.log.AppendChange(t.Context(), next, rec.Sequence)
	})
	w.change(r, func(r *recipient.Recipient) { r.Retry.Duration = time.Millisecond })
	lost := w.final("r", "lost", "")
	if lost.State != delivery.StateExpired {
		t.Errorf("the one that was not extended became %s", lost.State)
	}
	tried := w.newest("r", "kept", retrying).Attempt
	w.newest("r", "kept", func(r delivery.Record) bool { return retrying(r) && r.Attempt > tried })
	mend()
	if kept := w.final("r", "kept", ""); kept.State != delivery.StateDelivered || !kept.Expire.Equal(end) {
		t.Errorf("the extended one became %s, to expire %v", kept.State, kept.Expire)
	}
}

func TestAPurgedQueueEndsWithoutAnAttempt(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(*recipient.Recipient)
	}{
		{"unordered", func(*recipient.Recipient) {}},
		{"strict", func(r *recipient.Recipient) { r.Order = recipient.Strict }},
		{"breaker open", func(r *recipient.Recipient) { r.MaxInFlight = 64 }},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newFixture(t)
			w.send = func(d *delivery.Delivery) delivery.Outcome {
				if strings.HasPrefix(d.Event.ID, "old-") {
					return delivery.Outcome{Status: 500}
				}
				return delivery.Outcome{Status: 200}
			}
			r := w.recipient("r", hourly, x.change)
			ids := names("old-", 40)
			w.publish(ids...)
			w.run()
			w.newest("r", "old-0", retrying)
			last, err := eventlog.New(w.conn).LastSequence(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.publish("new-0")
			purged := *r
			purged.PurgedThrough = last
			w.dir.set(&purged)
			// What waits for an hour is hurried, as the config service does until the queue is empty.
			waits := queue.NewDelayed(w.conn, recipient.HTTP, "r")
			w.until("the queue is empty", func() bool {
				if _, err := waits.Expedite(t.Context(), last); err != nil {
					t.Fatal(err)
				}
				b, err := control.New(w.conn).Backlog(t.Context(), recipient.HTTP, "r")
				return err == nil && b.Waiting+b.Unsettled == 0
			})
			for _, id := range ids {
				if got := w.final("r", id, ""); got.State != delivery.StateCancelled || got.Reason != reasons.Purged {
					t.Fatalf("%s became %s (%s)", id, got.State, got.Reason)
				}
			}
			if got := w.final("r", "new-0", ""); got.State != delivery.StateDelivered {
				t.Errorf("what came after the purge became %s", got.State)
			}
			w.onceEach("r", 1)
		})
	}
}

// onceEach checks that no event was sent more than n times.
func (w *fixture) onceEach(recipientID string, n int) {
	w.t.Helper()
	sent := map[string]int{}
	for _, id := range w.attempts(recipientID) {
		if sent[id]++; sent[id] > n {
			w.t.Errorf("%s was sent %d times", id, sent[id])
		}
	}
}

func TestAWokenRecipientIsProbedAtOnce(t *testing.T) {
	w := newFixture(t)
	mend := w.failing()
	w.recipient("r", hourly)
	w.publish(names("e-", 30)...)
	w.run()
	w.until("the breaker is open", func() bool { return len(w.attempts("r")) >= 20 })
	mend()
	w.until("a probe closes the breaker", func() bool {
		if err := queue.New(w.conn).Expedite(recipient.HTTP, "r", nil); err != nil {
			t.Fatal(err)
		}
		b, err := control.New(w.conn).Backlog(t.Context(), recipient.HTTP, "r")
		return err == nil && b.Waiting == 0
	})
}

// TestHurriedMessagesAreNotSentTwice says again and again that all is to be handed out now, while two senders deliver.
func TestHurriedMessagesAreNotSentTwice(t *testing.T) {
	w := newFixture(t)
	mend := w.failing()
	w.recipient("r", hourly)
	w.publish(names("e-", 15)...)
	w.run()
	first := w.stop
	w.run()
	second := w.stop
	w.stop = func() { first(); second() }
	records := map[string]deliverylog.StoredRecord{}
	for _, id := range names("e-", 15) {
		records[id] = w.newest("r", id, retrying)
	}
	mend()
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, rec := range records {
				now := time.Now()
				next := rec.Record
				next.NextAttempt, next.Reason = &now, reasons.SendNow
				if err := w.log.AppendChange(ctx, next, rec.Sequence); err != nil {
					continue
				}
				if err := queue.New(w.conn).RedeliverNow(ctx, recipient.HTTP, "r", []uint64{next.Sequence}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for id := range records {
		if got := w.final("r", id, ""); got.State != delivery.StateDelivered {
			t.Errorf("%s became %s", id, got.State)
		}
	}
	w.onceEach("r", 2)
}

func names(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

func TestWhatHasNoRoomIsCancelled(t *testing.T) {
	w := newFixture(t)
	w.recipient("r", func(r *recipient.Recipient) { r.BacklogThrough = 3 })
	w.publish(names("e-", 5)...)
	w.run()
	for i, id := range names("e-", 5) {
		want := delivery.StateCancelled
		if i >= 3 {
			want = delivery.StateDelivered
		}
		if got := w.final("r", id, ""); got.State != want || want == delivery.StateCancelled && got.Reason != reasons.Backlog {
			t.Errorf("%s became %s (%s)", id, got.State, got.Reason)
		}
	}
}
