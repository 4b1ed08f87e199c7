package emailsender_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// root is the admin contact.
const root = "root@example.org"

// kinds are what the mails to an address tell, in order.
func kinds(srv *smtptest.Server, to string) []string {
	var out []string
	for _, m := range srv.Mails() {
		if m.To[0] == to {
			out = append(out, m.Header.Get("X-Outbound-Notice"))
		}
	}
	return out
}

func failingFor(d time.Duration, r reasons.Reason) health.Status {
	return health.Status{Health: health.Failing, Since: time.Now().Add(-d).UTC(), LastFailure: time.Now().UTC(), Reason: r, Code: 550,
		Detail: "refused"}
}

func TestAdminContactsAreToldOfAnEmailRecipientThatFails(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	conn := open(t, srv, fixture{seen: make(watcher, 16), options: options(),
		adapt: func(c *configService) { c.settings.Smtp.AdminContacts = []string{root} }})
	if _, err := control.NewHealthStore(conn).Put(t.Context(), recipient.Email, "ops", failingFor(10*time.Minute, reasons.SMTPRefused),
		0); err != nil {
		t.Fatal(err)
	}
	m := srv.Await(t, 1)[0]
	if m.To[0] != root || m.Header.Get("X-Outbound-Notice") != "failing" ||
		!strings.Contains(m.Header.Get("Subject"), "Ops (ops): deliveries fail") {
		t.Errorf("told %v: %v", m.To, m.Header)
	}
	if !strings.Contains(string(m.Body), "the admin contacts of the SMTP settings") {
		t.Errorf("body %s", m.Body)
	}
}

// noNotices waits until every notice is settled, so that no mail of one comes any more.
func noNotices(t *testing.T, conn *bus.Conn) {
	t.Helper()
	waittest.NoError(t, "the notices to be settled", func() error {
		states, err := control.New(conn).StreamStates(t.Context())
		for _, s := range states {
			if s.Name == bus.StreamNotices && s.Messages > 0 {
				err = fmt.Errorf("%d are left", s.Messages)
			}
		}
		return err
	})
}

func TestWhatIsOverWhenTheRelayIsBackIsToldAsOver(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Banner: "421 4.3.2 away"})
	conn := start(t, srv, make(watcher, 16))
	store := control.NewHealthStore(conn)
	st := failingFor(time.Hour, reasons.Connect)
	st.Alerts, st.LastAlert = 2, time.Now().UTC()
	revision, err := store.Put(t.Context(), recipient.Email, "ops", st, 0)
	if err != nil {
		t.Fatal(err)
	}
	about := health.About{Recipient: "ops", Name: "Ops", Since: st.Since, Reason: st.Reason, Until: time.Now()}
	n := health.Notice{Kind: health.KindFailing, Channel: recipient.Email, Admin: true, To: root, At: time.Now(), Target: "the SMTP relay"}
	for i, id := range []string{"failing/1", "failing/2"} {
		about.Alert = i + 1
		n.ID, n.About = id, []health.About{about}
		if err := store.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	waittest.Until(t, "both to be tried, and one of them again", func() bool { return srv.Connections() >= 3 })
	// The relay is back, and deliveries arrive.
	if _, err := store.Put(t.Context(), recipient.Email, "ops", health.Status{Health: health.OK, Since: time.Now().UTC()},
		revision); err != nil {
		t.Fatal(err)
	}
	srv.Play(smtptest.Script{})
	n.ID, n.Kind = "recovered/1", health.KindRecovered
	if err := store.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	noNotices(t, conn)
	if got := kinds(srv, root); len(got) != 1 || got[0] != "recovered" {
		t.Errorf("told %v, want the recovery alone", got)
	}
}

func TestARelayThatWorksButFailsDeliveriesIsToldOfAfterAWhile(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	store := control.NewHealthStore(start(t, srv, make(watcher, 16)))
	st := failingFor(time.Minute, reasons.Timeout)
	st.Alerts, st.LastAlert = 1, time.Now().UTC()
	if _, err := store.Put(t.Context(), recipient.Email, "ops", st, 0); err != nil {
		t.Fatal(err)
	}
	n := health.Notice{
		Kind: health.KindFailing, Channel: recipient.Email, Admin: true, To: root, At: time.Now(), ID: "failing/1",
		About: []health.About{{Recipient: "ops", Since: st.Since, Reason: st.Reason, Alert: 1},
			{Recipient: "gone", Since: st.Since, Reason: st.Reason, Alert: 1}},
	}
	if err := store.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	m := srv.Await(t, 1)[0]
	if strings.Contains(string(m.Body), "gone") || !strings.Contains(m.Header.Get("Subject"), "ops: deliveries fail") {
		t.Errorf("what is gone is told of: %v %s", m.Header, m.Body)
	}
}

func TestASilenceThatIsOverIsNotTold(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	conn := start(t, srv, make(watcher, 16))
	store := control.NewHealthStore(conn)
	over := health.Silence{Appliance: "a1", Since: time.Now().Add(-time.Hour).UTC(), After: time.Minute}
	lasts := health.Silence{Appliance: "a2", Since: over.Since, After: time.Minute}
	if _, err := store.PutMark(t.Context(), control.MarkSilent+"a2", health.AlertState{Of: lasts.Key(), At: time.Now(), Notified: true},
		0); err != nil {
		t.Fatal(err)
	}
	for _, s := range []health.Silence{over, lasts} {
		if err := store.Notify(t.Context(), health.Notice{Kind: health.KindSilent, ID: "silent/" + s.Appliance, Admin: true, To: root,
			At: time.Now(), Silence: &s}); err != nil {
			t.Fatal(err)
		}
	}
	srv.Await(t, 1)
	noNotices(t, conn)
	if m := srv.Mails(); !strings.Contains(m[0].Header.Get("Subject"), "appliance a2 has been silent") || len(m) != 1 {
		t.Errorf("told %v", m[0].Header)
	}
}
