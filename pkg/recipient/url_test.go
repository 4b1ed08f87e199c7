package recipient_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestURLPolicies(t *testing.T) {
	const all, plain, none = "https https-443 any", "any", ""
	for _, c := range []struct{ url, allowedBy string }{
		{"https://receiver.example.com", all},
		{"https://receiver.example.com/path?appliance=Default&x=%20", all},
		{"https://receiver.example.com:443/", all},
		{"HTTPS://receiver.example.com/", all},
		{"https://receiver.example.com./", all},
		{"https://bücher.example/", all},
		{"https://a_b.example/", all},
		{"https://8.8.8.8/", all},
		{"https://[2606:4700:4700::1111]/", all},
		{"https://receiver.example.com:8443/", "https any"},
		{"http://receiver.example.com/", plain},
		{"http://receiver.example.com:8080/", plain},
		{"", none},
		{"receiver.example.com", none},
		{"//receiver.example.com/", none},
		{"ftp://receiver.example.com/", none},
		{"file:///etc/passwd", none},
		{"gopher://127.0.0.1:6379/_x", none},
		{"javascript:alert(1)", none},
		{"https:receiver.example.com", none},
		{"https://", none},
		{"https:///path", none},
		{"http:///x", none},
		{"https://:443/", none},
		{"https://user@receiver.example.com/", none},
		{"https://user:secret@receiver.example.com/", none},
		{"https://@receiver.example.com/", none},
		{"https://receiver.example.com/#fragment", none},
		{"https://receiver.example.com/#", none},
		{"https://receiver.example.com:/", none},
		{"https://receiver.example.com:0/", none},
		{"https://receiver.example.com:65536/", none},
		{"https://receiver.example.com:https/", none},
		{"https://2130706433/", none},
		{"https://0x7f.1/", none},
		{"https://0x7f000001/", none},
		{"https://0177.0.0.1/", none},
		{"https://127.1/", none},
		{"https://1.2.3.4.5/", none},
		{"https://256.256.256.256/", none},
		{"https://127.0.0.1./", none},
		{"https://[fe80::1%25lo]/", none},
		{"https://[::1", none},
		{"https://exa mple.com/", none},
		{"https://example.com\r\nHost: x/", none},
		{"https://a..example.com/", none},
		{"https://.example.com/", none},
		{"https://exa%6dple%00.com/", none},
	} {
		for _, policy := range []recipient.URLPolicy{recipient.HTTPSOnly, recipient.HTTPS443, recipient.AnyURL} {
			want := strings.Contains(" "+c.allowedBy+" ", " "+string(policy)+" ")
			err := recipient.CheckURL(c.url, policy)
			if (err == nil) != want {
				t.Errorf("policy %s, %q: %v", policy, c.url, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("policy %s, %q: the error repeats a secret: %v", policy, c.url, err)
			}
		}
	}
}

func TestUnknownURLPolicyIsRefused(t *testing.T) {
	for _, policy := range []string{"", "http", "HTTPS"} {
		if _, err := recipient.ParseURLPolicy(policy); err == nil {
			t.Errorf("policy %q is accepted", policy)
		}
	}
}

func TestHeadersThatWouldBreakADeliveryAreRefused(t *testing.T) {
	for _, name := range []string{"Host", "content-length", "Webhook-Id", "User-Agent", "Traceparent", "Outbound-Test", "Idempotency-Key",
		"X-Idempotency-Key"} {
		if err := recipient.CheckHeader(name); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if err := recipient.CheckHeader("X-Team"); err != nil {
		t.Error(err)
	}
}
