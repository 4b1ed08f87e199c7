package recipient_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// FuzzCheckURL holds URLs against the policies: what one accepts has the one form that is dialled, and a refusal repeats no password.
func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://crm.example/hook?a=b", "http://[::1]:8080/", "https://u:hunter2@h/", "https://Bücher.example./",
		"https://１２７.0.0.1/", "https://x:0/", "https://x:/", "//h", "https:h", "https://h#f", "https://%6c/", "https://[::ffff:1.2.3.4]",
		"javascript://h/%0aalert(1)", "https://a..b/", "https://0x7f.1", "https://xn--a.example", "https://h:65536/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		loose := recipient.CheckURL(raw, recipient.AnyURL)
		for _, policy := range []recipient.URLPolicy{recipient.HTTPSOnly, recipient.HTTPS443} {
			if err := recipient.CheckURL(raw, policy); err == nil && loose != nil {
				t.Errorf("%q: %s accepts what any refuses: %v", raw, policy, loose)
			}
		}
		if loose != nil {
			text := loose.Error()
			if len(text) > 2*len(raw)+300 || strings.Contains(raw, "hunter2") && strings.Contains(text, "hunter2") {
				t.Errorf("%q is refused with %q", raw, text)
			}
			return
		}
		u, err := recipient.ParseURL(raw)
		if err != nil || u.User != nil || u.Hostname() == "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
			t.Fatalf("%q is accepted as %v, %v", raw, u, err)
		}
		host, err := recipient.Host(u.Hostname())
		if err != nil || host != u.Hostname() {
			t.Errorf("%q: the host %q becomes %q, %v", raw, u.Hostname(), host, err)
		}
		again, err := recipient.ParseURL(u.String())
		if err != nil || again.Host != u.Host {
			t.Errorf("%q: %v becomes %v, %v", raw, u, again, err)
		}
	})
}
