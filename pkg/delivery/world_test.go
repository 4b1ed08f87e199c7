package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// world is an engine with a real broker; the outside is a function.
type world struct {
	t    *testing.T
	conn *bus.Conn
	pub  *bus.Publisher
	log  *bus.History
	dir  *directory
	send func(d *delivery.Delivery) delivery.Outcome
	// matches stands for filters; nil: this engine has none.
	matches func(*recipient.Recipient, *event.Event) (bool, error)

	mu   sync.Mutex
	sent map[string][]string // recipient → event ids in the order of their attempts
	stop func()
}

type directory struct {
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

type silent struct{}

func (silent) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (silent) End(context.Context, delivery.Report)                            {}
func (silent) Ended(delivery.Report)                                           {}

func (w *world) Send(_ context.Context, d *delivery.Delivery) delivery.Outcome {
	began := time.Now()
	w.mu.Lock()
	w.sent[d.Recipient.ID] = append(w.sent[d.Recipient.ID], d.Event.ID)
	w.mu.Unlock()
	o := w.send(d)
	o.Began, o.Took = began, time.Since(began)
	return o
}

func (w *world) Judge(_ *delivery.Delivery, o delivery.Outcome) delivery.Verdict {
	if o.Status == 200 {
		return delivery.Verdict{Kind: delivery.Delivered, Reason: delivery.ReasonOK}
	}
	return delivery.Verdict{Kind: delivery.Retry, Reason: delivery.ReasonHTTPStatus, Detail: fmt.Sprintf("HTTP %d", o.Status)}
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, conn: bustest.Start(t).Conn(), dir: &directory{all: map[string]*recipient.Recipient{}}, sent: map[string][]string{}, stop: func() {}}
	w.pub, w.log = bus.NewPublisher(w.conn), bus.NewHistory(w.conn)
	w.send = func(*delivery.Delivery) delivery.Outcome { return delivery.Outcome{Status: 200} }
	t.Cleanup(func() { w.stop(); w.pub.Close(); w.log.Close() })
	return w
}

func (w *world) run() {
	w.t.Helper()
	e, err := delivery.NewEngine(delivery.EngineOptions{Channel: recipient.HTTP, Sender: w, Recipients: w.dir, Queue: bus.NewQueue(w.conn), Log: w.log, Observer: silent{}, Since: w.conn.Since, Slots: 64, Matches: w.matches})
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

func (w *world) recipient(id string, change ...func(*recipient.Recipient)) *recipient.Recipient {
	w.t.Helper()
	r := &recipient.Recipient{ID: id, Enabled: true, WhileDisabled: recipient.Skip, EventTypes: []string{"support_conference_begin", "support_conference_end"}, StartSequence: 1,
		Retry: recipient.Retry{Interval: 200 * time.Millisecond, Duration: time.Hour}, HTTP: &recipient.HTTPTarget{}, MaxInFlight: 16}
	for _, f := range change {
		f(r)
	}
	if err := w.conn.EnsureConsumer(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
	w.dir.set(r)
	return r
}

func (w *world) publish(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if _, err := w.pub.Accept(w.t.Context(), w.event(id)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) event(id string) *event.Event {
	w.t.Helper()
	e, v := event.Decode(fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"a1","type":"support_conference_begin","time":%q}`, id, time.Now().UTC().Format(time.RFC3339)))
	if len(v) > 0 {
		w.t.Fatal(v)
	}
	return e
}

// until asks again and again until the answer is yes.
func (w *world) until(what string, yes func() bool) {
	w.t.Helper()
	waittest.Until(w.t, what, yes)
}

// change changes a recipient that the engine has.
func (w *world) change(r *recipient.Recipient, change func(*recipient.Recipient)) {
	next := *r
	change(&next)
	w.dir.set(&next)
}

// final waits until a delivery has a final record, and returns it.
func (w *world) final(recipientID, eventID, replayID string) (rec delivery.Record) {
	w.t.Helper()
	w.until(eventID+" has a final record at "+recipientID, func() (ok bool) {
		var err error
		if rec, ok, err = w.log.Latest(w.t.Context(), recipientID, w.event(eventID), replayID); err != nil {
			w.t.Fatal(err)
		}
		return ok && rec.State.Final()
	})
	return rec
}

// drained waits until everything published so far is settled.
func (w *world) drained(recipientID string) {
	w.t.Helper()
	last, err := w.conn.LastSequence(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.until(recipientID+" has nothing waiting", func() bool {
		b, err := w.conn.Backlog(w.t.Context(), recipient.HTTP, recipientID)
		if err != nil {
			w.t.Fatal(err)
		}
		return b.Given >= last && b.Waiting+b.Unsettled == 0
	})
}

func (w *world) attempts(recipientID string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sent[recipientID])
}
