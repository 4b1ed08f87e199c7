package health_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

const (
	tick  = 20 * time.Millisecond
	after = 300 * time.Millisecond
)

// directory knows recipients, of which the last one set under an id counts.
type directory struct {
	mu  sync.Mutex
	all []*recipient.Recipient
}

func (d *directory) OnChange(func()) {}

func (d *directory) Recipients() []*recipient.Recipient {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all)
}

func (d *directory) Recipient(id string) (*recipient.Recipient, bool) {
	for _, r := range slices.Backward(d.Recipients()) {
		if r.ID == id {
			return r, true
		}
	}
	return nil, false
}

func (d *directory) set(r *recipient.Recipient) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(slices.DeleteFunc(d.all, func(x *recipient.Recipient) bool { return x.ID == r.ID }), r)
}

// replace replaces all at once.
func (d *directory) replace(all []*recipient.Recipient) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = all
}

type silent struct{}

func (silent) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (silent) End(context.Context, delivery.Report)                            {}
func (silent) Ended(delivery.Report)                                           {}

// fixture is a broker whose notices are gathered.
type fixture struct {
	t    *testing.T
	conn *bus.Conn
	dir  *directory

	mu      sync.Mutex
	notices []health.Notice
	at      []time.Time
	// markers counts the recipients that pass made, marked the notices about them, which are not among the others.
	markers, marked int
}

func desk(id, host string, resend time.Duration) *recipient.Recipient {
	return &recipient.Recipient{ID: id, DisplayName: id, Enabled: true, HTTP: &recipient.HTTPTarget{URL: "https://" + host + "/hook"},
		EventTypes: []string{"support_conference_end"}, StartSequence: 1, Retry: recipient.Retry{Interval: time.Second, Duration: time.Hour},
		Contact: recipient.Contact{Addresses: []string{"ops@example.org"}, AlertAfter: after, ResendEvery: resend}}
}

func newFixture(t *testing.T, dir ...*recipient.Recipient) *fixture {
	t.Helper()
	w := &fixture{t: t, conn: bustest.Start(t).Conn(), dir: &directory{all: dir}}
	notices, err := queue.OpenNotices(t.Context(), w.conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer notices.Close()
		for ctx.Err() == nil {
			_ = notices.Pull(ctx, time.Second, func(n queue.Notice) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if strings.HasPrefix(n.About[0].Recipient, markerPrefix) {
					w.marked++
				} else {
					w.notices, w.at = append(w.notices, n.Notice), append(w.at, n.Stored)
				}
				_ = n.Settler.Ack()
			})
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

// deadStore is a store whose process has died: nothing it does reaches the broker any more.
type deadStore struct {
	health.Store
	mu   sync.Mutex
	dead bool
	// dieAt is called before each notice and says whether to die before or after it.
	before, after bool
}

var errDead = errors.New("dead")

func (d *deadStore) gone() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.dead }
func (d *deadStore) die()       { d.mu.Lock(); defer d.mu.Unlock(); d.dead = true }

func (d *deadStore) Put(ctx context.Context, ch recipient.Channel, id string, s health.Status, rev uint64) (uint64, error) {
	if d.gone() {
		return 0, errDead
	}
	return d.Store.Put(ctx, ch, id, s, rev)
}

func (d *deadStore) Notify(ctx context.Context, n health.Notice) error {
	if d.before {
		d.die()
	}
	if d.gone() {
		return errDead
	}
	err := d.Store.Notify(ctx, n)
	if d.after {
		d.die()
	}
	return err
}

// sender is the keeper of one sender process.
type sender struct {
	delivery.Observer
	channel recipient.Channel
	stop    func()
}

func (w *fixture) sender(holder string, wrap *deadStore) *sender {
	w.t.Helper()
	return w.senderEvery(tick, holder, wrap)
}

func (w *fixture) senderEvery(tick time.Duration, holder string, wrap *deadStore) *sender {
	w.t.Helper()
	var store health.Store = control.NewHealthStore(w.conn)
	if wrap != nil {
		wrap.Store = store
		store = wrap
	}
	observer, stop, err := health.Start(context.Background(),
		health.Options{Channel: recipient.HTTP, Recipients: w.dir, Store: store, Observer: silent{}, Holder: holder, Tick: tick})
	if err != nil {
		w.t.Fatal(err)
	}
	s := &sender{Observer: observer, channel: recipient.HTTP, stop: sync.OnceFunc(stop)}
	w.t.Cleanup(s.stop)
	return s
}

func (s *sender) attempt(r *recipient.Recipient, v delivery.Verdict, state delivery.State) {
	d := &delivery.Delivery{Recipient: r, Event: &event.Event{ID: "e"}, Attempt: 1}
	s.End(context.Background(), delivery.Report{Delivery: d, Channel: s.channel, Outcome: delivery.Outcome{Began: time.Now()}, Verdict: v,
		State: state, Next: time.Now().Add(time.Second)})
}

func (s *sender) fails(r *recipient.Recipient) {
	s.attempt(r, delivery.Verdict{Kind: delivery.Retry, Reason: reasons.Connect, Detail: "refused"}, delivery.StateRetrying)
}

func (s *sender) succeeds(r *recipient.Recipient) {
	s.attempt(r, delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}, delivery.StateDelivered)
}

func (w *fixture) got() []health.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notices)
}

func (w *fixture) until(what string, yes func() bool) {
	w.t.Helper()
	waittest.NoError(w.t, what, func() error {
		if !yes() {
			return fmt.Errorf("it never came; got %+v", w.got())
		}
		return nil
	})
}

const markerPrefix = "marker-"

// pass lets a time go by in which something must not happen: it has a recipient of its own fail at a sender, which is told of after
// that time. What else the sender had to tell until then has been told by then.
func (w *fixture) pass(s *sender, d time.Duration) {
	w.t.Helper()
	w.mu.Lock()
	w.markers++
	n := w.markers
	w.mu.Unlock()
	id := fmt.Sprint(markerPrefix, n)
	marker := desk(id, id+".example", 0)
	if s.channel == recipient.Email {
		marker = mailbox(id)
	}
	marker.Contact = recipient.Contact{Addresses: []string{id + "@example.org"}, AlertAfter: d}
	w.dir.set(marker)
	s.fails(marker)
	w.until(id+" is told of", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.marked == n
	})
}

func (w *fixture) status(r *recipient.Recipient) health.Status {
	w.t.Helper()
	all, err := control.NewHealthStore(w.conn).All(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all.Of(r)
}

func (w *fixture) want(kinds ...health.Kind) {
	w.t.Helper()
	var got []health.Kind
	for _, n := range w.got() {
		got = append(got, n.Kind)
	}
	if !slices.Equal(got, kinds) {
		w.t.Errorf("contacts got %v, want %v: %+v", got, kinds, w.got())
	}
}

func TestNobodyIsToldIfItRecoversInTime(t *testing.T) {
	r := desk("desk", "a.example", 0)
	r.Contact.AlertAfter = time.Hour
	w := newFixture(t, r)
	a, b := w.sender("a", nil), w.sender("b", nil)
	a.fails(r)
	w.until("it fails", func() bool { return w.status(r).Health == health.Failing })
	b.succeeds(r)
	w.until("it is well", func() bool { return w.status(r).Health == health.OK })
	// Had it not recovered, it would be due now.
	due := *r
	due.Contact.AlertAfter = time.Millisecond
	w.dir.set(&due)
	w.pass(a, after)
	w.pass(b, after)
	w.want()
}

func TestContactsAreToldOnceAPeriodByTwoSenders(t *testing.T) {
	const period = 400 * time.Millisecond
	r := desk("desk", "a.example", period)
	w := newFixture(t, r)
	a, b := w.sender("a", nil), w.sender("b", nil)
	began := time.Now()
	a.fails(r)
	b.fails(r)
	w.until("three mails came", func() bool { return len(w.got()) >= 3 })
	b.succeeds(r)
	w.until("the recovery came", func() bool { got := w.got(); return got[len(got)-1].Kind == health.KindRecovered })
	w.pass(a, 2*period)
	w.pass(b, 2*period)
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.notices) - 1
	for i, n := range w.notices[:last] {
		least := after + time.Duration(i)*period
		if came := w.at[i].Sub(began); n.Kind != health.KindFailing || came < least-5*time.Millisecond || n.About[0].Alert != i+1 {
			t.Errorf("mail %d is %s and came after %s, want at least %s: %+v", i+1, n.Kind, came, least, n.About)
		}
	}
	if last < 3 || w.notices[last].Kind != health.KindRecovered {
		t.Errorf("got %+v, want the recovery last", w.notices)
	}
	if x := w.notices[last].About[0]; !x.Until.After(x.Since) || x.Reason != reasons.Connect {
		t.Errorf("the recovery tells %+v", x)
	}
}

func TestASenderKilledWhileTellingIsStoodInFor(t *testing.T) {
	for name, killed := range map[string]*deadStore{"before the mail": {before: true}, "after the mail": {after: true}} {
		t.Run(name, func(t *testing.T) {
			r := desk("desk", "a.example", 0)
			w := newFixture(t, r)
			a := w.sender("a", killed)
			a.fails(r)
			w.until("it died", killed.gone)
			b := w.sender("b", nil)
			w.until("the claim is lifted", func() bool { st := w.status(r); return st.Alerts == 1 && st.Claim == nil })
			w.until("a mail came", func() bool { return len(w.got()) > 0 })
			w.pass(b, after)
			w.want(health.KindFailing)
		})
	}
}

func TestARestartTellsNothingAnew(t *testing.T) {
	r := desk("desk", "a.example", 0)
	w := newFixture(t, r)
	a := w.sender("a", nil)
	a.fails(r)
	w.until("it was told", func() bool { return w.status(r).Alerts == 1 })
	since := w.status(r).Since
	a.stop()
	b := w.sender("b", nil)
	b.fails(r)
	w.pass(b, 2*after)
	if !w.status(r).Since.Equal(since) {
		t.Error("the failure began anew")
	}
	b.succeeds(r)
	w.until("the recovery came", func() bool { return len(w.got()) == 2 })
	w.want(health.KindFailing, health.KindRecovered)
}

func TestWhatIsGivenUpIsToldThoughOthersArrive(t *testing.T) {
	r := desk("desk", "a.example", 0)
	w := newFixture(t, r)
	a := w.sender("a", nil)
	a.attempt(r, delivery.Verdict{Kind: delivery.Drop, Reason: reasons.Gone}, delivery.StateRejected)
	a.succeeds(r)
	w.until("a mail came", func() bool { return len(w.got()) > 0 })
	w.pass(a, after)
	w.want(health.KindDropped)
	if d := w.got()[0].About[0].Dropped; d == nil || d.Count != 1 || d.Reason != reasons.Gone {
		t.Errorf("told of %+v", d)
	}
}

func TestADisabledRecipientIsNotToldOf(t *testing.T) {
	r := desk("desk", "a.example", 0)
	off := *r
	off.Enabled = false
	w := newFixture(t, &off)
	st := health.Status{Health: health.Failing, Since: time.Now().Add(-time.Hour), Reason: reasons.DNS}
	if _, err := control.NewHealthStore(w.conn).Put(t.Context(), recipient.HTTP, r.ID, st, 0); err != nil {
		t.Fatal(err)
	}
	a := w.sender("a", nil)
	w.until("its failure is over", func() bool { return w.status(r).Health == health.OK })
	w.pass(a, after)
	w.want()
}

func TestBreakerAndExpiryAreKept(t *testing.T) {
	r := desk("desk", "a.example", 0)
	w := newFixture(t, r)
	a := w.sender("a", nil)
	a.fails(r)
	d, opened := &delivery.Delivery{Recipient: r, Event: &event.Event{ID: "e"}}, time.Now().Add(-time.Hour).UTC()
	a.Ended(delivery.Report{Delivery: d, Channel: recipient.HTTP,
		Verdict: delivery.Verdict{Kind: delivery.Drop, Reason: reasons.Expired, Detail: "too old"}, State: delivery.StateExpired,
		BreakerOpen: true, BreakerSince: opened, NextProbe: opened.Add(time.Minute)})
	w.until("it is told", func() bool { return len(w.got()) > 0 })
	n := w.got()[0].About[0]
	if n.Reason != reasons.Connect || n.Dropped == nil || n.Dropped.Count != 1 || !n.BreakerOpen || !n.BreakerSince.Equal(opened) ||
		n.ProbeEvery != r.Retry.Interval {
		t.Errorf("told of %+v", n)
	}
	if st := w.status(r); st.LastDropped.IsZero() || !st.BreakerOpen || !st.BreakerSince.Equal(opened) ||
		!st.NextProbe.Equal(opened.Add(time.Minute)) {
		t.Errorf("kept %+v", st)
	}
}
