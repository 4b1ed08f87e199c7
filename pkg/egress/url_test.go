package egress_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/egress"
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
		{"https://" + strings.Repeat("a", 2048), none},
	} {
		for _, policy := range []egress.URLPolicy{egress.HTTPS, egress.HTTPS443, egress.AnyURL} {
			want := strings.Contains(" "+c.allowedBy+" ", " "+string(policy)+" ")
			err := policy.CheckURL(c.url)
			if (err == nil) != want {
				t.Errorf("policy %s, %q: %v", policy, c.url, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("policy %s, %q: the error repeats a secret: %v", policy, c.url, err)
			}
		}
	}
}

func TestURLFaultsAreToldAllAtOnce(t *testing.T) {
	err := egress.HTTPS443.CheckURL("http://user@127.1:8080/#x")
	if err == nil {
		t.Fatal("allowed")
	}
	for _, want := range []string{"http is not allowed", "user name", "fragment", "looks like a number", "port 8080"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not mention %q", err, want)
		}
	}
}

func TestUnknownPolicyIsRefused(t *testing.T) {
	for _, p := range []egress.URLPolicy{"", "http", "HTTPS"} {
		if err := p.Validate(); err == nil {
			t.Errorf("policy %q is accepted", p)
		}
	}
}

func TestLiteralAddressesAreToldAtOnce(t *testing.T) {
	g := guard(t, []string{"10.0.0.0/8"}, nil)
	for url, want := range map[string]bool{
		"https://10.1.2.3/": true, "https://8.8.8.8/": true, "https://receiver.example.com/": true,
		"https://127.0.0.1:8443/": false, "https://[::1]/": false, "https://[::ffff:169.254.169.254]/": false,
	} {
		if err := g.CheckLiteral(url); (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}
