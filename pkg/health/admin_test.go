package health_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func mailbox(id string) *recipient.Recipient {
	return &recipient.Recipient{ID: id, DisplayName: id, Enabled: true,
		Email:      &recipient.EmailTarget{Addresses: []string{id + "@example.org"}},
		EventTypes: []string{"support_conference_end"}, StartSequence: 1, Retry: recipient.Retry{Interval: 2 * time.Second, Duration: time.Hour}}
}

// mailer is the keeper of one email sender, with admin contacts.
func (w *fixture) mailer(holder string, admins ...string) *sender {
	w.t.Helper()
	admin := recipient.Contact{Addresses: admins, AlertAfter: after, ResendEvery: 2 * after}
	return w.mail(health.Options{Holder: holder, Tick: tick, Fallback: func() recipient.Contact { return admin }})
}

// mailerOf is the same with a contact in full, and a store of its own if there is one. Its ticks are slow, as far as tests go:
// a claim is taken over after ten of them, and on a busy machine ten claims take their time.
func (w *fixture) mailerOf(holder string, admin func() recipient.Contact, store health.Store) *sender {
	w.t.Helper()
	return w.mail(health.Options{Store: store, Holder: holder, Tick: 15 * tick, Fallback: admin})
}

func (w *fixture) mail(o health.Options) *sender {
	w.t.Helper()
	o.Channel, o.Recipients, o.Observer = recipient.Email, w.dir, silent{}
	if o.Store == nil {
		o.Store = control.NewHealthStore(w.conn)
	}
	observer, stop, err := health.Start(context.Background(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &sender{Observer: observer, channel: recipient.Email, stop: sync.OnceFunc(stop)}
	w.t.Cleanup(s.stop)
	return s
}

// hesitant is the store of a sender that stops after its first claim until it is let go on.
type hesitant struct {
	health.Store
	claims  atomic.Int64
	claimed chan struct{}
	goOn    chan struct{}
}

func (s *hesitant) Put(ctx context.Context, ch recipient.Channel, id string, st health.Status, rev uint64) (uint64, error) {
	if st.Claim != nil && s.claims.Add(1) == 2 {
		close(s.claimed)
		<-s.goOn
	}
	return s.Store.Put(ctx, ch, id, st, rev)
}

func TestTwoSendersNeverShareOutWhatOneMailTells(t *testing.T) {
	x, y, z := mailbox("x"), mailbox("y"), mailbox("z")
	w := newFixture(t, x, y, z)
	admin := func() recipient.Contact {
		return recipient.Contact{Addresses: []string{"root@example.org"}, AlertAfter: after}
	}
	slow := &hesitant{Store: control.NewHealthStore(w.conn), claimed: make(chan struct{}), goOn: make(chan struct{})}
	a := w.mailerOf("a", admin, slow)
	for _, r := range []*recipient.Recipient{x, y, z} {
		a.fails(r)
	}
	<-slow.claimed
	b := w.mailerOf("b", admin, nil)
	w.pass(b, 3*after) // and so several looks of b at what is due
	close(slow.goOn)
	w.until("all were told of", func() bool { return w.status(x).Alerts+w.status(y).Alerts+w.status(z).Alerts == 3 })
	if got := w.got(); len(got) != 1 || len(got[0].About) != 3 {
		t.Errorf("told %+v", got)
	}
}

func TestTenRecipientsBehindOneRelayMakeOneMailWhenItIsBack(t *testing.T) {
	var all []*recipient.Recipient
	for i := range 10 {
		r := mailbox(fmt.Sprintf("m%d", i))
		r.Retry.Interval = time.Minute
		all = append(all, r)
	}
	w := newFixture(t, all...)
	// Nobody is told before all fail, and recoveries wait for each other as long as the first alert does: neither hangs on how busy
	// the machine is.
	var alertAfter atomic.Int64
	alertAfter.Store(int64(time.Minute))
	admin := func() recipient.Contact {
		return recipient.Contact{Addresses: []string{"root@example.org"}, AlertAfter: time.Duration(alertAfter.Load())}
	}
	a, b := w.mailerOf("a", admin, nil), w.mailerOf("b", admin, nil)
	for _, r := range all {
		a.fails(r)
	}
	for _, r := range all {
		w.until(r.ID+" fails", func() bool { return w.status(r).Health == health.Failing })
	}
	w.pass(a, after)
	alertAfter.Store(int64(after))
	told := func() (n int) {
		for _, r := range all {
			n += min(1, w.status(r).Alerts)
		}
		return n
	}
	w.until("all were told of", func() bool { return told() == len(all) })
	first := w.got()
	if len(first) != 1 || len(first[0].About) != len(all) || !first[0].Admin || first[0].To != "root@example.org" ||
		first[0].Channel != recipient.Email || !first[0].OfRelay() {
		t.Fatalf("told %+v", first)
	}
	alertAfter.Store(int64(time.Minute))
	for _, r := range all { // one after the other, as their retries fall due
		b.succeeds(r)
		w.until(r.ID+" is well", func() bool { return w.status(r).Health == health.OK })
	}
	recovered := func() (mails, recipients int) {
		for _, n := range w.got() {
			if n.Kind == health.KindRecovered {
				mails, recipients = mails+1, recipients+len(n.About)
			}
		}
		return mails, recipients
	}
	w.until("all recoveries were told", func() bool { _, n := recovered(); return n == len(all) })
	w.pass(a, after)
	w.pass(b, after)
	if mails, n := recovered(); mails != 1 || n != len(all) {
		t.Errorf("%d mails told of %d recoveries, want one of %d", mails, n, len(all))
	}
}

func TestARecoveryWaitsForOthersOnlySoLong(t *testing.T) {
	x, y := mailbox("x"), mailbox("y")
	w := newFixture(t, x, y)
	a := w.mailer("a", "root@example.org")
	a.fails(x)
	a.fails(y)
	w.until("both were told of", func() bool { return w.status(x).Alerts > 0 && w.status(y).Alerts > 0 })
	a.succeeds(x)
	w.until("the recovery was told", func() bool {
		for _, n := range w.got() {
			if n.Kind == health.KindRecovered && len(n.About) == 1 && n.About[0].Recipient == "x" {
				return true
			}
		}
		return false
	})
	if w.status(y).Health != health.Failing {
		t.Error("y is not failing any more")
	}
}

func TestContactsOfItsOwnAreToldInsteadOfTheAdmins(t *testing.T) {
	own, none := mailbox("own"), mailbox("none")
	own.Contact = recipient.Contact{Addresses: []string{"desk@example.org"}, AlertAfter: after}
	w := newFixture(t, own, none)
	a := w.mailer("a", "root@example.org")
	a.fails(own)
	a.fails(none)
	w.until("two mails came", func() bool { return len(w.got()) >= 2 })
	to := map[string]string{}
	for _, n := range w.got() {
		to[n.About[0].Recipient] = fmt.Sprint(n.To, " ", n.Admin)
	}
	if to["own"] != "desk@example.org false" || to["none"] != "root@example.org true" {
		t.Errorf("told %v", to)
	}
}

func TestNobodyIsToldWhereThereAreNoContactsAtAll(t *testing.T) {
	r := mailbox("r")
	w := newFixture(t, r)
	a := w.mailer("a")
	a.fails(r)
	w.until("it fails", func() bool { return w.status(r).Health == health.Failing })
	w.pass(a, 2*after)
	w.want()
}

func TestWhatIsOverIsNotToldAnyMore(t *testing.T) {
	began := time.Now().UTC()
	failing := health.Status{Health: health.Failing, Since: began, Alerts: 1}
	later, again := failing, failing
	later.Alerts, again.Since = 3, began.Add(time.Hour)
	untold := again
	untold.Alerts = 0
	about := health.About{Recipient: "r", Since: began, Until: began.Add(time.Minute), Alert: 1, Reason: reasons.Connect}
	for _, c := range []struct {
		name string
		kind health.Kind
		now  health.Status
		told bool
	}{
		{"it fails still", health.KindFailing, failing, true},
		{"a later mail tells of it", health.KindFailing, later, false},
		{"it is well", health.KindFailing, health.Status{Health: health.OK}, false},
		{"it fails anew", health.KindFailing, again, false},
		{"it is gone", health.KindFailing, health.Status{}, false},
		{"it has recovered", health.KindRecovered, health.Status{Health: health.OK}, true},
		{"it recovered and fails anew, untold", health.KindRecovered, untold, true},
		{"it recovered and fails anew, told", health.KindRecovered, again, false},
		{"given up is given up", health.KindDropped, health.Status{Health: health.OK}, true},
	} {
		n := health.Notice{Kind: c.kind, Channel: recipient.Email, About: []health.About{about}}
		now, told := n.Current(func(string) health.Status { return c.now })
		if told != c.told || told && len(now.About) != 1 || len(n.About) != 1 {
			t.Errorf("%s: told %v, want %v", c.name, told, c.told)
		}
	}
	mixed := health.Notice{Kind: health.KindFailing, Channel: recipient.Email,
		About: []health.About{about, {Recipient: "well", Since: began, Alert: 1}}}
	now, told := mixed.Current(func(id string) health.Status { return map[string]health.Status{"r": failing}[id] })
	if !told || len(now.About) != 1 || now.About[0].Recipient != "r" {
		t.Errorf("of two, one of which is well, %v is told", now.About)
	}
}
