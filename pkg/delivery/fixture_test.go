package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/pushback"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// fixture is an engine with a real broker; the outside is a function.
type fixture struct {
	t    *testing.T
	conn *bus.Conn
	pub  *bus.Publisher
	log  *deliverylog.Log
	dir  *directory
	send func(d *delivery.Delivery) delivery.Outcome
	// judge stands for the sender's own judgement; nil: 200 is success.
	judge func(o delivery.Outcome) delivery.Verdict
	// matches stands for filters; nil: this engine has none.
	matches func(*recipient.Recipient, *event.Event) (bool, error)
	// fresh says how recent dir is; nil: that is not asked.
	fresh *freshness
	// window is the engine's, if not the default; ended is told of what is put off or ends without an attempt.
	window int
	ended  func(delivery.Report)

	// pauses are shared with other engines, if set.
	pauses pushback.Store

	observer delivery.Observer
	// wrap stands between the engine and the log, if set; between the engine and the queue, queue.
	wrap  func(delivery.Log) delivery.Log
	queue delivery.Queue
	// numbers stand for the numbers of deliveries; nil: there are none.
	pulled  func(string) uint64
	numbers delivery.Numbers
	// slots are the engine's, if not 64; turn stands for the rate limit, if set.
	slots int
	turn  func(context.Context, *recipient.Recipient) time.Duration
	// drain stands for the rate after a maintenance window, now for the clock, if set.
	drain func(context.Context, *recipient.Recipient, int) time.Duration
	now   func() time.Time

	mu   sync.Mutex
	sent map[string][]string // recipient → event ids in the order of their attempts
	stop func()
}

type directory struct {
	// listed counts how often all were asked for.
	listed  atomic.Int64
	mu      sync.Mutex
	all     map[string]*recipient.Recipient
	changed []func()
}

func (d *directory) Recipient(id string) (*recipient.Recipient, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.all[id]
	return r, ok
}

func (d *directory) Recipients() (out []*recipient.Recipient) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.all {
		out = append(out, r)
	}
	d.listed.Add(1)
	return out
}

func (d *directory) OnChange(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changed = append(d.changed, f)
}

func (d *directory) set(r *recipient.Recipient) {
	d.mu.Lock()
	d.all[r.ID] = r
	fs := slices.Clone(d.changed)
	d.mu.Unlock()
	for _, f := range fs {
		f()
	}
}

func (d *directory) remove(id string) {
	d.mu.Lock()
	delete(d.all, id)
	fs := slices.Clone(d.changed)
	d.mu.Unlock()
	for _, f := range fs {
		f()
	}
}

func (w *fixture) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (w *fixture) End(context.Context, delivery.Report)                            {}
func (w *fixture) Ended(r delivery.Report) {
	if w.ended != nil {
		w.ended(r)
	}
}

// watcher counts attempts under way and breakers that have opened.
type watcher struct{ open, underWay atomic.Int64 }

func (o *watcher) Begin(ctx context.Context, _ *delivery.Delivery) context.Context {
	o.underWay.Add(1)
	return ctx
}

func (o *watcher) End(_ context.Context, r delivery.Report) {
	o.underWay.Add(-1)
	o.Ended(r)
}

func (o *watcher) Ended(r delivery.Report) {
	if r.BreakerOpen {
		o.open.Add(1)
	}
}

func (w *fixture) Send(_ context.Context, d *delivery.Delivery) delivery.Outcome {
	began := time.Now()
	w.mu.Lock()
	w.sent[d.Recipient.ID] = append(w.sent[d.Recipient.ID], d.Event.ID)
	w.mu.Unlock()
	o := w.send(d)
	o.Began, o.Took = began, time.Since(began)
	return o
}

func (w *fixture) Judge(_ *delivery.Delivery, o delivery.Outcome) delivery.Verdict {
	if w.judge != nil {
		return w.judge(o)
	}
	if o.Status == 200 {
		return delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}
	}
	return delivery.Verdict{Kind: delivery.Retry, Reason: reasons.HTTPStatus, Detail: fmt.Sprintf("HTTP %d", o.Status)}
}

func newFixture(t *testing.T) *fixture {
	w := &fixture{t: t, conn: bustest.Start(t).Conn(), dir: &directory{all: map[string]*recipient.Recipient{}},
		sent: map[string][]string{}, stop: func() {}}
	w.pub, w.log = bus.NewPublisher(w.conn), deliverylog.New(w.conn)
	w.send = func(*delivery.Delivery) delivery.Outcome { return delivery.Outcome{Status: 200} }
	t.Cleanup(func() { w.stop(); w.pub.Close(); w.log.Close() })
	return w
}

func (w *fixture) run() {
	w.t.Helper()
	log := delivery.Log(w.log)
	if w.wrap != nil {
		log = w.wrap(log)
	}
	o := delivery.EngineOptions{
		Channel: recipient.HTTP, Sender: w, Recipients: w.dir, Queue: queue.New(w.conn), Log: log, Observer: w, Since: w.conn.Since,
		Slots: 64, Window: w.window, Matches: w.matches, Turn: w.turn, Pauses: w.pauses, Drain: w.drain, Now: w.now,
	}
	if w.queue != nil {
		o.Queue = w.queue
	}
	o.Numbers, o.Pulled = w.numbers, w.pulled
	if w.slots != 0 {
		o.Slots = w.slots
	}
	if w.observer != nil {
		o.Observer = w.observer
	}
	if w.fresh != nil {
		o.Freshness = w.fresh
	}
	e, err := delivery.NewEngine(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
}

func (w *fixture) recipient(id string, change ...func(*recipient.Recipient)) *recipient.Recipient {
	w.t.Helper()
	r := &recipient.Recipient{ID: id, Enabled: true, WhileDisabled: recipient.Skip,
		EventTypes: []string{"support_conference_begin", "support_conference_end"}, StartSequence: 1,
		Retry: recipient.Retry{Interval: 200 * time.Millisecond, Duration: time.Hour}, HTTP: &recipient.HTTPTarget{}, MaxInFlight: 16}
	for _, f := range change {
		f(r)
	}
	if err := control.New(w.conn).EnsureConsumer(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
	w.dir.set(r)
	return r
}

func (w *fixture) publish(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if _, err := w.pub.Accept(w.t.Context(), w.event(id)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *fixture) event(id string) *event.Event {
	w.t.Helper()
	e, v := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"a1","type":"support_conference_begin","time":%q}`, id,
		time.Now().UTC().Format(time.RFC3339)))
	if len(v) > 0 {
		w.t.Fatal(v)
	}
	return e
}

// until asks again and again until the answer is yes.
func (w *fixture) until(what string, yes func() bool) {
	w.t.Helper()
	waittest.Until(w.t, what, yes)
}

// change changes a recipient that the engine has.
func (w *fixture) change(r *recipient.Recipient, change func(*recipient.Recipient)) {
	next := *r
	change(&next)
	w.dir.set(&next)
}

// handedOut has a message that waits for a delay handed out until something has come of it. One sender alone may run: a message that it
// has in hand it leaves alone. It is said again because the delay may be asked for a moment after the record is there.
func (w *fixture) handedOut(what string, sequence uint64, yes func() bool) {
	w.t.Helper()
	said := time.Time{}
	w.until(what, func() bool {
		if yes() {
			return true
		}
		if time.Since(said) > 200*time.Millisecond {
			said = time.Now()
			if err := queue.New(w.conn).RedeliverNow(w.t.Context(), recipient.HTTP, "r", []uint64{sequence}); err != nil {
				w.t.Fatal(err)
			}
		}
		return false
	})
}

// final waits until a delivery has a final record, and returns it.
func (w *fixture) final(recipientID, eventID, replayID string) (rec delivery.Record) {
	w.t.Helper()
	w.until(eventID+" has a final record at "+recipientID, func() bool {
		var err error
		var at uint64
		if rec, at, err = w.log.Latest(w.t.Context(), recipientID, w.event(eventID), replayID); err != nil {
			w.t.Fatal(err)
		}
		return at != 0 && rec.State.Final()
	})
	return rec
}

// drained waits until everything published so far is settled.
func (w *fixture) drained(recipientID string) {
	w.t.Helper()
	last, err := eventlog.New(w.conn).LastSequence(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.until(recipientID+" has nothing waiting", func() bool {
		b, err := control.New(w.conn).Backlog(w.t.Context(), recipient.HTTP, recipientID)
		if err != nil {
			w.t.Fatal(err)
		}
		return b.Given >= last && b.Waiting+b.Unsettled == 0
	})
}

func (w *fixture) attempts(recipientID string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent[recipientID])
}
