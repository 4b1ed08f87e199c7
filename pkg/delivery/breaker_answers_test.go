package delivery_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// bad reports whether an event is one that the receiver of these tests never takes.
func bad(d *delivery.Delivery) bool { return strings.HasPrefix(d.Event.ID, "bad-") }

// count is how often events whose ids begin with a prefix were sent.
func (w *fixture) count(recipientID, prefix string) (n int) {
	for _, id := range w.attempts(recipientID) {
		if strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}

// delivered waits until events are recorded as delivered.
func (w *fixture) delivered(recipientID string, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if rec := w.final(recipientID, id, ""); rec.State != delivery.StateDelivered {
			w.t.Fatalf("%s became %s (%s)", id, rec.State, rec.Reason)
		}
	}
}

func TestBadEventsHoldNoOthersBack(t *testing.T) {
	for _, x := range []struct {
		name    string
		bad     int
		outcome delivery.Outcome
	}{
		{"answered with 500", 3, delivery.Outcome{Status: 500}},
		{"answered with 503", 4, delivery.Outcome{Status: 503}},
		{"hanging", 4, delivery.Outcome{Fault: delivery.FaultTimeout}},
		{"cut off", 4, delivery.Outcome{Fault: delivery.FaultCut}},
		{"many, tried before", 40, delivery.Outcome{Status: 500}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newFixture(t)
			w.recipient("r")
			w.send = func(d *delivery.Delivery) delivery.Outcome {
				if bad(d) {
					return x.outcome
				}
				return delivery.Outcome{Status: 200}
			}
			w.run()
			// One that arrives now and then between those that are new keeps them from being many that fail in a row.
			for i, id := range names("bad-", x.bad) {
				w.publish(id)
				if i%10 == 9 {
					w.publish(strings.Replace(id, "bad", "between", 1))
					w.delivered("r", strings.Replace(id, "bad", "between", 1))
				}
			}
			w.until("the bad ones are retried", func() bool { return w.count("r", "bad-") >= 12*x.bad })
			good := names("good-", 30)
			began := w.count("r", "bad-")
			w.publish(good...)
			w.delivered("r", good...)
			if n := (w.count("r", "bad-") - began) / x.bad; n > 20 {
				t.Errorf("the good ones came after %d rounds of the bad ones", n)
			}
			w.until("the bad ones are retried on", func() bool { return w.count("r", "bad-") >= began+3*x.bad })
		})
	}
}

// TestPartlyDeliveredIsNoFailureOfTheRecipient has one address of each event taken and the other put off.
func TestPartlyDeliveredIsNoFailureOfTheRecipient(t *testing.T) {
	w := newFixture(t)
	w.recipient("r", hourly)
	w.send = func(*delivery.Delivery) delivery.Outcome { return delivery.Outcome{Status: 452, Accepted: true} }
	w.judge = func(delivery.Outcome) delivery.Verdict {
		return delivery.Verdict{Kind: delivery.Retry, Reason: reasons.PartlyDelivered}
	}
	w.run()
	w.publish(names("e-", 80)...)
	w.until("each is tried", func() bool { return w.count("r", "e-") == 80 })
}

func TestAReceiverThatAnswersNothingButErrorsIsProbed(t *testing.T) {
	const n, interval = 120, 300 * time.Millisecond
	w := newFixture(t)
	var mended atomic.Bool
	w.recipient("r", func(r *recipient.Recipient) { r.Retry.Interval = interval })
	w.send = func(*delivery.Delivery) delivery.Outcome {
		if mended.Load() {
			return delivery.Outcome{Status: 200}
		}
		return delivery.Outcome{Status: 500}
	}
	seen := &watcher{}
	w.observer = seen
	w.run()
	w.publish(names("e-", n)...)
	w.until("the breaker is open", func() bool { return seen.open.Load() > 0 })
	began, before := time.Now(), len(w.attempts("r"))
	w.until("it is probed ten times", func() bool { return len(w.attempts("r")) >= before+16+20 })
	took := time.Since(began)
	if most := 16 + 2*int(took/interval+2); len(w.attempts("r"))-before > most {
		t.Errorf("%d attempts in %v, want at most %d", len(w.attempts("r"))-before, took, most)
	}
	// New ones are among the probes.
	sent := w.attempts("r")
	slices.Sort(sent)
	if len(slices.Compact(sent)) < 20+10 {
		t.Errorf("only %d of the events were tried", len(slices.Compact(sent)))
	}
	mended.Store(true)
	w.delivered("r", names("e-", n)...)
}

// TestGoodEventsArriveThoughTheReceiverComesBackWithBadOnes has everything fail, and then only some of what was tried.
func TestGoodEventsArriveThoughTheReceiverComesBackWithBadOnes(t *testing.T) {
	for name, outage := range map[string]delivery.Outcome{
		"answers 500": {Status: 500}, "answers 502": {Status: 502}, "connection refused": {Fault: delivery.FaultConnect},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			w.recipient("r")
			var mended atomic.Bool
			w.send = func(d *delivery.Delivery) delivery.Outcome {
				switch {
				case !mended.Load():
					return outage
				case bad(d):
					return delivery.Outcome{Status: 500}
				default:
					return delivery.Outcome{Status: 200}
				}
			}
			seen := &watcher{}
			w.observer = seen
			w.run()
			w.publish(names("bad-", 3)...)
			w.until("the bad ones are tried", func() bool { return w.count("r", "bad-") >= 3 })
			w.publish(names("good-", 60)...)
			w.until("the breaker is open", func() bool { return seen.open.Load() > 0 })
			mended.Store(true)
			w.delivered("r", names("good-", 60)...)
			later := names("later-", 20)
			w.publish(later...)
			w.delivered("r", later...)
		})
	}
}

func TestADeadReceiverGetsOneAttemptPerInterval(t *testing.T) {
	const interval = 200 * time.Millisecond
	w := newFixture(t)
	w.recipient("r", func(r *recipient.Recipient) { r.Retry.Interval = interval })
	w.send = func(*delivery.Delivery) delivery.Outcome { return delivery.Outcome{Fault: delivery.FaultConnect} }
	seen := &watcher{}
	w.observer = seen
	w.run()
	w.publish(names("e-", 60)...)
	w.until("the breaker is open", func() bool { return seen.open.Load() > 0 })
	// What is under way when the breaker opens is no probe.
	w.until("what was under way is over", func() bool { return seen.underWay.Load() == 0 })
	began, before := time.Now(), len(w.attempts("r"))
	w.until("it is probed ten times", func() bool { return len(w.attempts("r")) >= before+10 })
	if took := time.Since(began); took < 9*interval*9/10 {
		t.Errorf("ten probes came within %v", took)
	}
}

// TestWhatExpiresIsRecordedWhileTheBreakerIsOpen has all of a backlog expire, what was tried and what was not.
func TestWhatExpiresIsRecordedWhileTheBreakerIsOpen(t *testing.T) {
	for name, outage := range map[string]delivery.Outcome{"answers 500": {Status: 500}, "connection refused": {Fault: delivery.FaultConnect}} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			w.recipient("r", func(r *recipient.Recipient) {
				r.Retry = recipient.Retry{Interval: 300 * time.Millisecond, Duration: 1500 * time.Millisecond}
			})
			w.send = func(*delivery.Delivery) delivery.Outcome { return outage }
			w.run()
			ids := names("e-", 200)
			w.publish(ids...)
			w.drained("r")
			without := 0
			for _, id := range ids {
				rec := w.final("r", id, "")
				if rec.State != delivery.StateExpired || rec.Reason != reasons.Expired || rec.Detail == "" {
					t.Fatalf("%s: %+v", id, rec)
				}
				if rec.Attempt == 0 {
					without++
				}
			}
			if without < 100 {
				t.Errorf("%d events expired without an attempt", without)
			}
		})
	}
}
