package recipients_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/recipient/preset"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/recipients"
)

func TestARecipientIsMadeFromAPreset(t *testing.T) {
	key := file(t, "R0123456789abcdef0123456789abcde\n")
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients": clitest.JSON(crm)})
	got := run(t, s, "create", "--preset", "pagerduty", "--set-file", "routing_key="+key, "--set", "severity=error", "--event", "a",
		"--retry-interval", "1m")
	body := sent(t, s, http.MethodPost)
	h, _ := body["http"].(map[string]any)
	headers, _ := h["headers"].(map[string]any)
	text, _ := h["bodyTemplate"].(string)
	if got.Code != exit.CodeOK || body["displayName"] != "PagerDuty" || headers["X-Routing-Key"] != "R0123456789abcdef0123456789abcde" ||
		h["url"] != "https://events.pagerduty.com/v2/enqueue" || h["success"] != "ANY_2XX" || h["retryInterval"] != "60s" ||
		!strings.Contains(text, `"severity": "error"`) {
		t.Errorf("%+v sent %v", got, body)
	}
	for args, want := range map[string]string{
		"--preset pagerduty --set routing_key=x":       "other processes see arguments: use --set-file routing_key=FILE",
		"--preset pagerduty":                           "--set-file routing_key is missing",
		"--preset slack --set url=nowhere":             "--set url is not a URL",
		"--preset slack --set link=https://x.example":  "--set link is not a field of the preset slack: it has url",
		"--preset slak":                                "did you mean slack?",
		"--preset slack --set url":                     "--set \"url\" is not in the form name=value",
		"--set url=https://x.example":                  "name it with --preset",
		"--preset jira --set-file api_token=/no/where": "/no/where",
	} {
		s := clitest.Serve(t, nil)
		got := run(t, s, append([]string{"create"}, strings.Fields(args)...)...)
		if got.Code == exit.CodeOK || !strings.Contains(got.Err, want) || len(s.Calls("")) > 0 {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

func TestPresetsAreShown(t *testing.T) {
	s := clitest.Serve(t, nil)
	list := s.Run(t, recipients.PresetsCommand, "presets", "list")
	all := s.Run(t, recipients.PresetsCommand, "presets", "list", "-o", "json")
	for _, p := range preset.All() {
		shown := s.Run(t, recipients.PresetsCommand, "presets", "show", p.Name)
		if !strings.Contains(list.Out, p.Name) || !strings.Contains(all.Out, `"`+p.Name+`"`) || !strings.Contains(shown.Out, p.Source) ||
			!strings.Contains(shown.Out, "create --preset "+p.Name) {
			t.Errorf("%s: %+v", p.Name, shown)
		}
	}
	if got := s.Run(t, recipients.PresetsCommand, "presets", "show", "slak"); got.Code != exit.CodeUsage {
		t.Errorf("%+v", got)
	}
}
