package emailsender_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/services/emailsender"
)

// utf8Relay offers SMTPUTF8.
func utf8Relay() smtptest.PeerScript {
	return smtptest.PeerScript{Hello: []string{"250-peer", "250-8BITMIME", "250 smtputf8"}}
}

func TestInternationalAddressesAreSentAsTheRelayTakesThem(t *testing.T) {
	for name, c := range map[string]struct {
		script smtptest.PeerScript
		to     string
		// rcpt is what the relay is told, utf8 whether MAIL says SMTPUTF8; sent is false if the relay can't take it.
		rcpt       string
		utf8, sent bool
	}{
		"domain, offered":         {utf8Relay(), "ops@bücher.example", "RCPT TO:<ops@xn--bcher-kva.example>", false, true},
		"domain, not offered":     {smtptest.PeerScript{}, "ops@Bücher.example", "RCPT TO:<ops@xn--bcher-kva.example>", false, true},
		"local part, offered":     {utf8Relay(), "jörg@bücher.example", "RCPT TO:<jörg@xn--bcher-kva.example>", true, true},
		"local part, not offered": {smtptest.PeerScript{}, "jörg@example.org", "", false, false},
		"underscore in domain":    {smtptest.PeerScript{}, "ops@a_b.example", "RCPT TO:<ops@a_b.example>", false, true},
		"hyphens in domain":       {smtptest.PeerScript{}, "ops@r3---sn.example", "RCPT TO:<ops@r3---sn.example>", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			peer := smtptest.StartPeer(t, c.script)
			s, d := senderTo(t, peer), deliveryTo(c.to, alice)
			v, o := try(t, s, d)
			heard := ""
			for _, q := range peer.Heard() {
				heard += q.Line + "\n"
			}
			if strings.Contains(heard, "SMTPUTF8") != c.utf8 || !strings.Contains(heard, c.rcpt) {
				t.Errorf("heard %s", heard)
			}
			if !c.sent {
				want(t, v, delivery.Retry, reasons.SMTPRefused)
				if !strings.Contains(v.Detail, "does not offer SMTPUTF8") || o.Status != 553 || strings.Contains(v.Detail, "jörg") {
					t.Errorf("%d: %s", o.Status, v.Detail)
				}
				peer.Play(utf8Relay())
				s = senderTo(t, peer) // another relay, or the same once it is mended
				v, _ = try(t, s, d)
			}
			want(t, v, delivery.Delivered, reasons.OK)
			mails := peer.Mails()
			if len(mails) != 2 {
				t.Fatalf("%d mails, want one for each address", len(mails))
			}
			for _, m := range mails {
				if a, err := mail.ParseAddress(m.Header.Get("To")); err != nil || a.Address != m.To[0] {
					t.Errorf("to %s: the header says %q, %v", m.To[0], m.Header.Get("To"), err)
				}
			}
		})
	}
}

// TestASenderBeyondASCIIIsTheRelaysMatter has settings whose sender the relay can't take.
func TestASenderBeyondASCIIIsTheRelaysMatter(t *testing.T) {
	peer := smtptest.StartPeer(t, smtptest.PeerScript{})
	conf := relayOf(peer)
	conf.change(func(c *settings.SMTP) { c.FromAddress, c.Hello = "jörg@bücher.example", "büro.example" })
	s, d := emailsender.NewSender(t, options(), conf), deliveryTo(alice)
	v, _ := try(t, s, d)
	want(t, v, delivery.Retry, reasons.SMTPRefused)
	conf.change(func(c *settings.SMTP) { c.FromAddress = "ops@bücher.example" })
	v, _ = try(t, s, d)
	want(t, v, delivery.Delivered, reasons.OK)
	if m := peer.Mails(); len(m) != 1 || m[0].From != "ops@xn--bcher-kva.example" {
		t.Errorf("%+v", m)
	}
	if first := peer.Heard()[0].Line; first != "EHLO xn--bro-hoa.example" {
		t.Errorf("it introduced itself by %q", first)
	}
}
