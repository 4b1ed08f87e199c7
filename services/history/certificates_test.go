package history_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestCertificatesThatOthersPresentAreToldAheadOfTheirExpiry(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now().UTC().Truncate(time.Second)
	relay := &outboundv1.SmtpSettings{Host: "mail.example.com", FromAddress: "o@example.com", Etag: "7"}
	h := newFixtureWith(t, history.EmbeddedAlways, relay, httpRecipient("soon", "support_conference_end"),
		httpRecipient("later", "support_conference_end"), httpRecipient("moved", "support_conference_end"))
	store := control.NewHealthStore(h.bus)
	ends := map[string]time.Time{}
	for id, c := range map[string]health.PeerCertificate{
		"soon":  {From: now.Add(-80 * day), Until: now.Add(10 * day)},
		"later": {From: now.Add(-70 * day), Until: now.Add(20 * day)},
		"moved": {From: now.Add(-80 * day), Until: now.Add(day), Target: "earlier.example"},
	} {
		if c.Subject = "CN=" + id; c.Target == "" {
			c.Target = "receiver.example"
		}
		ends[id] = c.Until
		if _, err := store.Put(t.Context(), recipient.HTTP, id, health.Status{Health: health.OK, Since: now, Certificate: &c}, 0); err != nil {
			t.Fatal(err)
		}
	}
	seen := health.Relay{}.Seen(health.RelayAttempts{At: now, Line: health.RelayOK, Etag: "7",
		Certificate: &health.PeerCertificate{Subject: "CN=relay", From: now.Add(-4 * day), Until: now.Add(time.Hour)}})
	if err := store.PutRelay(t.Context(), seen, 0); err != nil {
		t.Fatal(err)
	}
	s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range s.GetExpiries() {
		got = append(got, fmt.Sprint(x.GetKind(), " ", x.GetResource(), " ", x.GetSubject()))
	}
	want := "relay_certificate settings/smtp CN=relay, " +
		"receiver_certificate recipients/soon CN=soon, receiver_certificate recipients/later CN=later"
	if strings.Join(got, ", ") != want {
		t.Errorf("told\n %s, want\n %s", strings.Join(got, ", "), want)
	}
	for _, r := range s.GetRecipients() {
		if id := r.GetRecipientId(); (r.GetCertificateExpireTime() == nil) != (id == "moved") ||
			id != "moved" && !r.GetCertificateExpireTime().AsTime().Equal(ends[id]) {
			t.Errorf("%s: %v", id, r.GetCertificateExpireTime())
		}
	}
	if x := s.GetRelay(); x.GetCertificateSubject() != "CN=relay" || !x.GetCertificateExpireTime().AsTime().Equal(now.Add(time.Hour)) {
		t.Errorf("the relay is %v", x)
	}
	notices := strings.Join(s.GetNotices(), "\n")
	for part, told := range map[string]bool{"The receiver's certificate of recipients/soon (CN=soon) expires on": true,
		"The mail relay's certificate of settings/smtp (CN=relay) expires on": true, "CN=later": false, "CN=moved": false} {
		if strings.Contains(notices, part) != told {
			t.Errorf("%q is told: %t, want %t, in\n%s", part, !told, told, notices)
		}
	}
}
