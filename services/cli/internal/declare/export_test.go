package declare_test

import (
	"strings"
	"testing"
	"unicode"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/declare"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// installation is a server that has something of each kind, in texts that are hard to write.
func installation(t *testing.T) *clitest.Server {
	t.Helper()
	return clitest.Serve(t, withStored(stored{
		"recipients": storedCRM[:len(storedCRM)-2] + `,{"id":"desk","displayName":"yes","email":{"addresses":["a@example.com"],
			"subject":"%A%: 'x' # y","body":"one\n\ntwo\n","overrides":{"a":{"body":" lead\nx"},"b":{"subject":"\u001b[31m\u009b\u007f\u202e"}}}},
			{"id":"leaving","deleteTime":"2026-11-21T10:00:00Z"}]}`,
		"settings/smtp": `{"host":"mail.example","port":587,"passwordSet":true,"etag":"3","updateTime":"2026-11-21T10:00:00Z",
			"dailyNotice":{"enabled":true,"time":"08:00"}}`,
		"settings/email": `{"retryInterval":"60s","timeZone":"Europe/London"}`,
		"appliances":     `{"appliances":[{"id":"a1","displayName":"Support","silentAfter":"43200s","createTime":"2026-11-21T10:00:00Z"}]}`,
		"custom-fields":  `{"customFields":[{"codeName":"region","displayName":"- Region"}]}`,
		"event-types": `{"eventTypes":[{"id":"built_in","builtIn":true},{"id":"disk_full","displayName":"Disk\tfull",
			"variables":[{"name":"size","example":"0123"}]}]}`,
	}, nil))
}

func TestExportWritesWhatCanBeSet(t *testing.T) {
	s := installation(t)
	for name, args := range map[string][]string{
		"export.yaml": {"export"}, "export.json": {"export", "-o", "json"}, "kinds.yaml": {"export", "--kinds", "recipients,email", "-o", "yaml"},
	} {
		got := s.Run(t, declare.ExportCommand, args...)
		if got.Code != exit.CodeOK {
			t.Fatalf("%s: %+v", name, got)
		}
		for _, r := range got.Out {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%s holds %U in the clear", name, r)
			}
		}
		golden.Check(t, name, []byte(got.Out))
	}
}

func TestWhatIsExportedIsAppliedWithoutADifference(t *testing.T) {
	for _, format := range []string{"yaml", "json"} {
		s := installation(t)
		exported := s.Run(t, declare.ExportCommand, "export", "-o", format)
		p, got := dryRun(t, s, exported.Out, "--exit-code")
		if got.Code != exit.CodeOK || len(p.Steps) != 7 {
			t.Errorf("%s: %+v", format, got)
		}
	}
}

func TestExportElsewhereNamesTheSecretsThatAreMissing(t *testing.T) {
	exported := installation(t).Run(t, declare.ExportCommand, "export")
	s := clitest.Serve(t, withStored(nil, nil))
	_, got := dryRun(t, s, exported.Out)
	for _, want := range []string{"password", "http.auth.basic.password", "http.signingSecrets[ss-1].secret",
		"http.signingSecrets[ss-2].secret"} {
		if got.Code != exit.CodeFailed || !strings.Contains(got.Err, want) {
			t.Errorf("%s is not named: exit %d\n%s", want, got.Code, got.Err)
		}
	}
}

func TestExportThatFails(t *testing.T) {
	s := installation(t)
	if got := s.Run(t, declare.ExportCommand, "export", "--kinds", "recipients,users"); got.Code != exit.CodeUsage ||
		!strings.Contains(got.Err, `"users"`) || got.Out != "" {
		t.Errorf("an unknown kind: %+v", got)
	}
	for kind, path := range map[string]string{
		"eventTypes": "event-types", "customFields": "custom-fields", "smtp": "settings/smtp", "email": "settings/email",
		"appliances": "appliances", "recipients": "recipients",
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/" + path: clitest.Refusal(codes.Unavailable, "away")})
		if got := s.Run(t, declare.ExportCommand, "export", "--kinds", kind); got.Code != exit.CodeFailed || got.Out != "" {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}
