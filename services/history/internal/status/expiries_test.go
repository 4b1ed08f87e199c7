package status_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/services/history/internal/status"
)

func TestTheTokensOfManyAppliancesHaveOneNotice(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for want, ends := range map[string][]time.Time{
		"": {now.Add(31 * day), now.Add(40 * day)},
		"The HTTP token of appliances/a1 expires on 2026-12-01":                             {now.Add(10 * day), now.Add(40 * day)},
		"The HTTP tokens of 2 appliances expire, the first of appliances/a1, on 2026-12-01": {now.Add(10 * day), now.Add(20 * day)},
	} {
		got := strings.Join(status.TokenNotices(now, []string{"a1", "a2"}, ends...), "\n")
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) || strings.Contains(got, "\n") ||
			got != "" && !strings.Contains(got, "--token-only --overlap 24h") {
			t.Errorf("%v: %q, want %q", ends, got, want)
		}
	}
}
