package browser_test

import (
	"testing"
)

// pages are all pages that somebody may see, with data in them.
func (p *place) pages(t *testing.T, who string) []string {
	t.Helper()
	out := []string{
		"/", "/?show=failing", "/?range=1h", "/recipients/hostile", "/recipients/hostile-mail", "/deliveries", "/deliveries?state=RETRYING",
		"/deliveries?eventId=hostile-1~hostile-1",
		"/deliveries/hostile/hostile-1~hostile-1", "/deliveries/hostile-mail/hostile-1~hostile-1", "/events", "/events/hostile-1~hostile-1",
		"/rejected", "/replays",
		"/settings/relay", "/settings/fields", "/settings/types", "/settings/types/" + ended, "/settings/appliances",
		"/settings/appliances/desk-1", "/settings/changes",
		"/health?range=7d", "/deliveries?range=24h", "/health", "/account",
	}
	if who != viewer {
		out = append(out, "/recipients/new?channel=http", "/recipients/new?channel=email", "/recipients/hostile/delete",
			"/recipients/hostile/purge", "/recipients/hostile/disable",
			"/replays/new", "/replays/new?kind=deliveries&deliveries.recipientId=hostile")
	}
	if who == admin {
		out = append(out, "/settings/users", "/settings/users/"+viewer, "/settings/tokens")
	}
	return out
}
