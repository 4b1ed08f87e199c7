package credential_test

import (
	"slices"
	"testing"

	"github.com/outbound-events/outbound/pkg/recipient/credential"
)

func TestSecretHeadersByName(t *testing.T) {
	for _, name := range []string{"Authorization", "authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "x-api-key", "Api-Key",
		"ApiKey", "X-Auth-Token", "X-Access-Token", "X-Gitlab-Token", "Private-Token", "DD-API-KEY", "Ocp-Apim-Subscription-Key",
		"X-Functions-Key", "X-Webhook-Secret", "X-Signature", "X-Auth", "X-Password"} {
		if !credential.SecretHeader(name) {
			t.Errorf("%s is no secret", name)
		}
	}
	for _, name := range []string{"X-Source", "Accept", "X-Environment", "X-Tenant", "X-Monkey", "X-Keyboard", "X-Author", "Accept-Language"} {
		if credential.SecretHeader(name) {
			t.Errorf("%s is a secret", name)
		}
		if !credential.SecretHeader(name, "a", name) {
			t.Errorf("%s is no secret when marked", name)
		}
	}
}

func TestConcealURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://h.example/hook":                      "https://h.example/hook",
		"https://h.example":                           "https://h.example",
		"nonsense":                                    "nonsense",
		"https://h.example/hook?region=emea&v=2":      "https://h.example/hook?region=emea&v=2",
		"https://h.example/hook?token=a&x=1":          "https://h.example/hook?token=[redacted]&x=1",
		"https://h.example/?ACCESS_TOKEN=a&sig=b%2Fc": "https://h.example/?ACCESS_TOKEN=[redacted]&sig=[redacted]",
		"https://h.example/?code=a&key=b&password=c&api_key=d&secret=e&signature=f": "https://h.example/?code=[redacted]&key=[redacted]" +
			"&password=[redacted]&api_key=[redacted]&secret=[redacted]&signature=[redacted]",
		"https://u:p@h.example/a": "https://[redacted]@h.example/a",
		"https://hooks.slack.com/services/T00000000/B00000000/aB3dE5gH7jK9mN1pQ3sT5vW7": "https://hooks.slack.com/services/T00000000/" +
			"B00000000/[redacted]",
		"https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX": "https://hooks.slack.com/services/T00000000/" +
			"B00000000/[redacted]",
		"https://x.webhook.office.com/webhookb2/0d1c2b3a-1111-2222-3333-444455556666@0d1c2b3a-1111-2222-3333-444455556666/IncomingWebhook/" +
			"0123456789abcdef0123456789abcdef/0d1c2b3a-1111-2222-3333-444455556666": "https://x.webhook.office.com/webhookb2/[redacted]/" +
			"IncomingWebhook/[redacted]/[redacted]",
		"https://discord.com/api/webhooks/123456789012345678/a_b-C9d8E7f6G5h4I3j2K1l0MnOpQr": "https://discord.com/api/webhooks/" +
			"123456789012345678/[redacted]",
		"https://h.example/support-conference-notifications-2026/v2/incoming": "https://h.example/support-conference-notifications-2026/" +
			"v2/incoming",
	} {
		got := credential.ConcealURL(raw)
		if got != want || credential.ConcealURL(got) != want && want != "https://[redacted]@h.example/a" {
			t.Errorf("%s\n is shown as %s\n want        %s", raw, got, want)
		}
	}
	if got := credential.URLSecrets("https://h.example/?sig=b%2Fc"); !slices.Contains(got, "b/c") || !slices.Contains(got, "b%2Fc") {
		t.Errorf("the secrets are %q", got)
	}
}
