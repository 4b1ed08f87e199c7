package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// presetStory makes a recipient from a preset, tries it while it is disabled, and plans a maintenance window for it, which holds and then
// lets go what came meanwhile.
func (p *place) presetStory(t *testing.T) {
	const name, first, held = "chat", 2, 3
	a := p.system.AddAppliance(t, "preset-1")
	published := 0
	publish := func(many int) {
		for range many {
			published++
			e := harness.NewEvent(a.ID, fmt.Sprintf("preset-%02d", published), departed, harness.Object{"note": "<!channel> & co"})
			p.publish(t, a.Token, e)
		}
	}
	page := p.come(t, operator)
	page.Open("/recipients/new?channel=http").Click("a", "preset").See("h1", "New recipient from a preset")
	page.Click("a", "Slack").See("h1", "New recipient: Slack")
	page.Fill("Name", "Chat of the desk").Fill("Webhook URL", p.receiver.URL(name)).ClickLabel("Someone leaves a support session")
	page.Click("button", "Create").See("#recipient-status", "disabled")
	id := strings.TrimPrefix(strings.Split(page.At(), "?")[0], "/recipients/")
	page.Click("button", "Send test event").See("main", "")
	p.ended(t, id, "DELIVERED", 1)
	page.Open("/recipients/"+id).Click("button", "Enable").See("#recipient-status", "OK")
	publish(first)
	p.ended(t, id, "DELIVERED", 1+first)

	// A window that is open now, and ends when it is taken out.
	window := fmt.Sprintf("%s %s UTC drain=50", time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15:04"),
		time.Now().UTC().Add(3*time.Hour).Format("2006-01-02T15:04"))
	page.Open("/recipients/"+id).Click("summary", "More settings").Fill("Maintenance windows", window).Click("button", "Save changes")
	page.See("#maintenance", "in maintenance until")
	publish(held)
	page.See("#maintenance", fmt.Sprintf("%d waiting", held))
	p.ended(t, id, "DELIVERED", 1+first)
	page.Do(`document.querySelector("details.more").open = true`)
	page.Fill("Maintenance windows", "").Click("button", "Save changes").SeeNot("#recipient-status", "in maintenance")
	p.ended(t, id, "DELIVERED", 1+first+held)

	p.eachOnce(t, name, 1+published)
	for _, r := range p.receiver.Of(name) {
		var message struct{ Text string }
		if err := json.Unmarshal(r.Body, &message); err != nil || message.Text == "" || strings.Contains(message.Text, "<!channel>") {
			t.Errorf("Slack got %s (%v)", r.Body, err)
		}
	}
	p.system.REST.Do(t, http.MethodDelete, "/v1/recipients/"+id, nil)
}
