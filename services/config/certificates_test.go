package config_test

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// TestUploadedCertificates uploads certificates for a recipient and for the relay, and reads what is said of them.
func TestUploadedCertificates(t *testing.T) {
	h := start(t)
	made := func(change func(*x509.Certificate)) string {
		text, _ := certified(t, newKey(t), func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.ExtKeyUsage, c.KeyUsage = true, true, nil, 0
			change(c)
		})
		return text
	}
	good := made(func(*x509.Certificate) {})
	old := made(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	own := made(func(c *x509.Certificate) { c.IsCA = false })
	for name, c := range map[string]struct {
		text     string
		refused  bool
		shown    int
		pinned   int
		warnings []string
	}{
		"good":                {good, false, 1, 0, nil},
		"expired beside good": {old + good, false, 2, 0, []string{"certificate 1 (outbound) expired on"}},
		"expired":             {old + old, true, 0, 0, []string{"certificate 1 (outbound) expired on", "and so did the 1 others"}},
		"pinned beside good": {"\ufeff" + strings.ReplaceAll(good+own, "\n", "\r"), false, 2, 1,
			[]string{"certificate 2 (outbound) is not a CA"}},
		"the second one is cut": {good + own[:len(own)/2], true, 0, 0, []string{"no END line"}},
		"a request by another name": {good + strings.ReplaceAll(own, "CERTIFICATE", "CERTIFICATE REQUEST"), true, 0, 0,
			[]string{"signing request"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := httpRecipient(name)
			in.GetHttp().CaCertificatePem = c.text
			created, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: in})
			smtp, relayErr := h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{
				SmtpSettings: &outboundv1.SmtpSettings{Host: "relay.example.com", FromAddress: "o@example.com", CaCertificatePem: c.text}})
			if (err != nil) != c.refused || (relayErr != nil) != c.refused {
				t.Fatalf("refused with %v and %v", err, relayErr)
			}
			if c.refused {
				wantFields(t, err, "http.caCertificatePem")
				wantFields(t, relayErr, "caCertificatePem")
			}
			said := append(slices.Clone(created.GetWarnings()), smtp.GetWarnings()...)
			if c.refused {
				said = []string{err.Error(), relayErr.Error()}
			}
			for _, w := range c.warnings {
				if n := strings.Count(strings.Join(said, "\n"), w); n != 2 {
					t.Errorf("said %q %d times in %q", w, n, said)
				}
			}
			if len(c.warnings) == 0 && len(said) != 0 {
				t.Errorf("said %q", said)
			}
			for _, shown := range [][]*outboundv1.CertificateInfo{created.GetHttp().GetCaCertificates(), smtp.GetCaCertificates()} {
				pinned := 0
				for _, x := range shown {
					if x.GetPinned() {
						pinned++
					}
				}
				if len(shown) != c.shown || pinned != c.pinned {
					t.Errorf("shows %d certificates, %d of them pinned", len(shown), pinned)
				}
			}
		})
	}
	in := httpRecipient("old server")
	in.GetHttp().LegacyTls, in.GetHttp().SmallClientHello = true, true
	said := strings.Join(h.create(in).GetWarnings(), " ")
	if !strings.Contains(said, "forward secrecy") || !strings.Contains(said, "post-quantum") {
		t.Errorf("said %q", said)
	}
}
