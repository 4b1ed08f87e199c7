package recipient_test

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
)

func TestCheckURL(t *testing.T) {
	cases := []struct {
		url string
		// ok under https, https-443 and any.
		ok [3]bool
	}{
		{"https://r.example.com", [3]bool{true, true, true}},
		{"https://r.example.com:443/a?b=c&d=%20", [3]bool{true, true, true}},
		{"https://r.example.com:8443/", [3]bool{true, false, true}},
		{"HTTPS://r.example.com/", [3]bool{true, true, true}},
		{"https://[2001:db8::1]/", [3]bool{true, true, true}},
		{"https://192.0.2.1/", [3]bool{true, true, true}},
		{"http://r.example.com/", [3]bool{false, false, true}},
		{"http://r.example.com:8080/", [3]bool{false, false, true}},
		{"", [3]bool{}},
		{"r.example.com", [3]bool{}},
		{"//r.example.com/", [3]bool{}},
		{"https:r.example.com", [3]bool{}},
		{"https:///path", [3]bool{}},
		{"https://:443/", [3]bool{}},
		{"https://r.example.com:/", [3]bool{}},
		{"https://r.example.com:0/", [3]bool{}},
		{"https://r.example.com:65536/", [3]bool{}},
		{"https://user@r.example.com/", [3]bool{}},
		{"https://user:pw@r.example.com/", [3]bool{}},
		{"https://r.example.com/#x", [3]bool{}},
		{"https://r.example.com/#", [3]bool{}},
		{"https://[fe80::1%25eth0]/", [3]bool{}},
		{"https://r.example.com/a b", [3]bool{}},
		{"https://r.example.com/\r\nX: y", [3]bool{}},
		{"https://r.example.com/\x7f", [3]bool{}},
		{"ftp://r.example.com/", [3]bool{}},
		{"file:///etc/passwd", [3]bool{}},
		{"gopher://r.example.com/", [3]bool{}},
	}
	for i, p := range []recipient.URLPolicy{recipient.HTTPSOnly, recipient.HTTPS443, recipient.AnyURL} {
		for _, c := range cases {
			err := recipient.CheckURL(c.url, p)
			if (err == nil) != c.ok[i] {
				t.Errorf("under %s, %q is %v", p, c.url, err)
			}
			if err != nil && strings.Contains(err.Error(), "pw") {
				t.Errorf("%v tells the password", err)
			}
		}
	}
	if _, err := recipient.ParseURLPolicy("http"); err == nil {
		t.Error("an unknown policy is taken")
	}
}

func TestCheckAddress(t *testing.T) {
	for _, ok := range []string{"ops@example.com", "a.b+c@sub.example.com", "o'neil_x@xn--bcher-kva.example", "root@localhost",
		"ops@exämple.com", "jörg@example.com", "用户@例子.example", "ops@Bücher.example"} {
		if err := recipient.CheckAddress(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{
		"", "ops", "@example.com", "ops@", "a@b@c", "Ops <ops@example.com>", "<ops@example.com>", `"a b"@example.com`, `"x y> ORCPT=q <z"@h.com`,
		"a@[127.0.0.1]", "ops@example.com,b@example.com", "ops@example.com\r\nBcc: x@y", "o ps@example.com", "ops@exa mple.com",
		"ops@ex\u200bample.com", "o\u202eps@example.com", "o\u00a0ps@example.com", "\xff@example.com", "ops@ä..com", "ops@-ä.com",
		strings.Repeat("ö", 33) + "@example.com",
		"ops@-example.com", "ops@example..com", "ops@.example.com", "ops@example.com.", "ops(comment)@example.com", ".ops@example.com",
		"ops\x00@example.com",
		strings.Repeat("x", 65) + "@example.com", "ops@" + strings.Repeat("x", 64) + ".com",
	} {
		if recipient.CheckAddress(bad) == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
	if recipient.SameAddress("Ops@EXAMPLE.com") != recipient.SameAddress("Ops@example.com") ||
		recipient.SameAddress("Ops@a") == recipient.SameAddress("ops@a") {
		t.Error("the domain's case counts, or the local part's does not")
	}
	if recipient.SameAddress("ops@BÜCHER.example") != recipient.SameAddress("ops@xn--bcher-kva.example") {
		t.Error("two forms of a domain are two mailboxes")
	}
}

func TestCheckHeader(t *testing.T) {
	for name, ok := range map[string][2]bool{
		"X-Tenant": {true, true}, "Cookie": {true, true}, "Authorization": {false, true}, "authorization": {false, true},
		"Host": {}, "CONTENT-TYPE": {}, "webhook-id": {}, "Webhook-Signature-2": {}, "traceparent": {}, "Transfer-Encoding": {},
		"Proxy-Authorization": {}, "User-Agent": {}, "content-length": {}, "Connection": {},
	} {
		if got := recipient.CheckHeader(name) == nil; got != ok[0] {
			t.Errorf("as a header, %s is allowed: %v", name, got)
		}
		if got := recipient.CheckAuthHeader(name) == nil; got != ok[1] {
			t.Errorf("for a secret, %s is allowed: %v", name, got)
		}
	}
}

// certificate makes a certificate in PEM.
func certificate(t *testing.T, ca bool, until time.Time) string {
	t.Helper()
	return certtest.SelfSigned(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter, c.IsCA = until.Add(-48*time.Hour), until, ca }).PEM
}

func TestCheckCAPEM(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	good := certificate(t, true, now.Add(time.Hour))
	for name, c := range map[string]struct {
		pem string
		ok  bool
	}{
		"one":            {good, true},
		"two":            {good + "\n" + certificate(t, true, now.Add(time.Hour)), true},
		"none":           {"", false},
		"not PEM":        {"hello", false},
		"cut":            {good[:len(good)/2], false},
		"more behind":    {good + "hello", true},
		"expired":        {certificate(t, true, now.Add(-time.Hour)), false},
		"one expired":    {good + certificate(t, true, now.Add(-time.Hour)), true},
		"all expired":    {certificate(t, true, now.Add(-time.Hour)) + certificate(t, true, now.Add(-time.Hour)), false},
		"no CA":          {certificate(t, false, now.Add(time.Hour)), true},
		"no CA, expired": {certificate(t, false, now.Add(-time.Hour)), false},
		"a key":          {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", false},
		"no certificate": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", false},
	} {
		if err := recipient.CheckCAPEM(c.pem, now); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseSigningSecret(t *testing.T) {
	key := bytes.Repeat([]byte{1}, 32)
	got, err := credential.ParseSigningSecret(credential.FormatSigningSecret(key))
	if err != nil || !bytes.Equal(got, key) {
		t.Errorf("read %v (%v)", got, err)
	}
	for _, bad := range []string{"", "whsec_", "whsec_!!!!", "AQEB", credential.FormatSigningSecret(key[:23]),
		credential.FormatSigningSecret(make([]byte, 65))} {
		if _, err := credential.ParseSigningSecret(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestNextWindows(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	open := []recipient.Window{{Start: now.Add(-time.Hour)}}
	if got := recipient.NextWindows(nil, true, recipient.Skip, now); len(got) != 0 {
		t.Errorf("enabled: %v", got)
	}
	if got := recipient.NextWindows(nil, false, recipient.Skip, now); len(got) != 1 || got[0].Start != now || !got[0].End.IsZero() {
		t.Errorf("disabled: %v", got)
	}
	if got := recipient.NextWindows(open, false, recipient.Skip, now); len(got) != 1 || got[0] != open[0] {
		t.Errorf("still disabled: %v", got)
	}
	if got := recipient.NextWindows(open, false, recipient.Hold, now); len(got) != 1 || got[0].End != now {
		t.Errorf("held: %v", got)
	}
	old := []recipient.Window{{Start: now.Add(-10 * 24 * time.Hour), End: now.Add(-9 * 24 * time.Hour)}}
	if got := recipient.NextWindows(old, true, recipient.Skip, now); len(got) != 0 {
		t.Errorf("nothing can fall into %v any more", got)
	}
	var many []recipient.Window
	for i := range 150 {
		at := now.Add(time.Duration(i-200) * time.Minute)
		many = append(many, recipient.Window{Start: at, End: at.Add(time.Second)})
	}
	if got := recipient.NextWindows(many, false, recipient.Skip, now); len(got) != 100 || !got[99].End.IsZero() || got[98] != many[149] {
		t.Errorf("of 150 windows %d are kept", len(got))
	}
}
