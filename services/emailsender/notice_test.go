package emailsender_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/smtptest"
)

func TestContactsGetOneMailEachThoughTheRelayPutsOneOff(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{bob: {Code: 451, Message: "later"}}, Times: 1})
	store := control.NewHealthStore(start(t, srv, make(watcher, 16)))
	n := health.Notice{Kind: health.KindFailing, Thread: "desk/1", At: time.Now(), Target: "desk.example.com", About: []health.About{
		{Recipient: "desk", Name: "Ticket desk", Since: time.Now().Add(-time.Hour), Reason: reasons.DNS, Detail: "no such host", Alert: 1,
			Waiting: 3},
	}}
	for _, to := range []string{alice, bob} {
		n.To, n.ID = to, "failing/desk/1/0/"+to
		for range 2 { // the second is a repeat
			if err := store.Notify(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
	}
	mails := srv.Await(t, 2)
	counts(t, srv, map[string]int{alice: 1, bob: 1})
	m := mails[0]
	if got := m.Header.Get("Subject"); got != "[Outbound] Ticket desk (desk): deliveries fail, the host name is not found (DNS)" {
		t.Errorf("subject %q", got)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" || m.From != "outbound@example.com" ||
		m.Header.Get("Message-Id") == mails[1].Header.Get("Message-Id") {
		t.Errorf("header %v", m.Header)
	}
	if !strings.Contains(string(m.Body), "Waiting:       3 events") || strings.Contains(string(m.Body), "Console:") {
		t.Errorf("body %s", m.Body)
	}
}

func TestAlertsLinkToTheConsole(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	o := options()
	o.ConsoleURL = "https://outbound.example.com/"
	store := control.NewHealthStore(open(t, srv, fixture{seen: make(watcher, 16), options: o}))
	n := health.Notice{Kind: health.KindFailing, ID: "failing/desk/1/0", Thread: "desk/1", At: time.Now(), To: alice,
		About: []health.About{{Recipient: "desk", Name: "Ticket desk", Since: time.Now(), Reason: reasons.DNS, Alert: 1}}}
	if err := store.Notify(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if body := string(srv.Await(t, 1)[0].Body); !strings.Contains(body, "Console: https://outbound.example.com/recipients/desk\r\n") {
		t.Errorf("body %s", body)
	}
	for _, bad := range []string{"outbound.example.com", "ftp://x.example", "https://x.example/path", "https://x.example?a=b"} {
		o.ConsoleURL = bad
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "consoleUrl") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
