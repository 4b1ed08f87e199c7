package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// lagging is a log whose reader is behind, as a copy on another broker is: after lag is called it tells of a delivery what it told last,
// until it is asked often enough.
type lagging struct {
	delivery.Log
	mu     sync.Mutex
	behind int
	told   map[string]toldRecord
}

type toldRecord struct {
	rec      delivery.Record
	sequence uint64
}

func (l *lagging) lag(times int) { l.mu.Lock(); defer l.mu.Unlock(); l.behind = times }

func (l *lagging) Latest(ctx context.Context, id string, e *event.Event, replay string) (delivery.Record, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if told, ok := l.told[id+e.ID]; ok && l.behind > 0 {
		l.behind--
		return told.rec, told.sequence, nil
	}
	rec, sequence, err := l.Log.Latest(ctx, id, e, replay)
	return rec, sequence, err
}

func (l *lagging) AppendAttempt(rec delivery.Record, done func(error)) {
	l.Log.AppendAttempt(rec, func(err error) {
		if err == nil {
			l.mu.Lock()
			l.told[rec.Recipient+rec.EventID] = toldRecord{rec, 1}
			l.mu.Unlock()
		}
		done(err)
	})
}

// Whoever sends a delivery now does not wait for its old time because a copy of the log is behind, whether the word of it comes before the
// message or after it.
func TestWhatIsSentNowDoesNotWaitForALogThatIsBehind(t *testing.T) {
	for name, wordFirst := range map[string]bool{"the word comes first": true, "the message comes first": false} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			mend := w.failing()
			log := &lagging{told: map[string]toldRecord{}}
			w.wrap = func(of delivery.Log) delivery.Log { log.Log = of; return log }
			postponed := make(chan delivery.Report, 100)
			w.ended = func(r delivery.Report) {
				if r.Verdict.Reason == reasons.NotDue {
					postponed <- r
				}
			}
			w.recipient("r", hourly)
			w.publish("e1")
			w.run()
			rec := w.newest("r", "e1", retrying)
			mend()
			log.lag(2)
			now := time.Now()
			next := rec.Record
			next.NextAttempt, next.Reason, next.Actor = &now, reasons.SendNow, "somebody"
			if err := w.log.AppendChange(t.Context(), next, rec.Sequence); err != nil {
				t.Fatal(err)
			}
			q, sequences := queue.New(w.conn), []uint64{next.Sequence}
			word := func() {
				if err := q.Expedite(recipient.HTTP, "r", sequences); err != nil {
					t.Fatal(err)
				}
			}
			if wordFirst {
				word()
			}
			if err := q.RedeliverNow(t.Context(), recipient.HTTP, "r", sequences); err != nil {
				t.Fatal(err)
			}
			if !wordFirst {
				<-postponed
				word()
			}
			if got := w.final("r", "e1", ""); got.State != delivery.StateDelivered || got.Attempt != 2 {
				t.Errorf("it became %s in attempt %d", got.State, got.Attempt)
			}
		})
	}
}
