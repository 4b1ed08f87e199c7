package browser_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// pauseStory is a recipient that its breaker pauses, that is paused, and that is disabled: what waits is seen, and nothing is lost.
func (p *place) pauseStory(t *testing.T) {
	const id, first, held, skipped = "pausing", 8, 2, 3
	a := p.system.AddAppliance(t, "pause-1")
	p.system.AddRecipient(t, harness.Object{
		"id": id, "displayName": "Pausing", "eventTypes": []string{departed}, "appliances": []string{a.ID},
		"http": harness.Object{"url": p.receiver.URL(id), "retryInterval": "3600s", "maxInFlight": 1},
	})
	published := 0
	publish := func(many int) {
		for range many {
			published++
			p.publish(t, a.Token, harness.NewEvent(a.ID, fmt.Sprintf("pause-%02d", published), departed, harness.Object{}))
		}
	}
	list, page := p.come(t, operator), p.come(t, operator)
	keep(list)
	// The receiver is away.
	p.receiver.Answer(id, http.StatusServiceUnavailable)
	publish(first)
	p.breakerIsSeen(list, page, id, first)
	p.ended(t, id, "WAITING", 0)
	p.sendAll(t, id)
	p.ended(t, id, "DELIVERED", first)

	// It is paused, and holds what comes.
	list.Click("#toggle-"+id, "").See("#ask", "Pause or disable Pausing?").Click("#ask button", "Pause and hold").See("#state-"+id, "paused")
	publish(held)
	list.See("#state-"+id, fmt.Sprintf("%d held, oldest", held))
	list.Click("#toggle-"+id, "").See("#state-"+id, "OK")
	p.ended(t, id, "DELIVERED", first+held)

	// It is disabled, and skips what comes. That is sent in two clicks.
	list.Click("#toggle-"+id, "").See("#ask", "Pause or disable Pausing?")
	list.Is("the setting is what is offered first", `document.querySelector("#ask button.primary").innerText === "Pause and hold"`)
	list.Click("#ask button", "Disable and skip").See("#state-"+id, "disabled")
	publish(skipped)
	list.See("#state-"+id, fmt.Sprintf("%d skipped since", skipped))
	kept(list)
	page.Open("/recipients/"+id).See("#skipped", fmt.Sprintf("%d skipped since", skipped))
	page.Click("button", "Enable").See("#skipped", "skipped from")
	page.Click("a", "Backfill what was skipped").See("h2", "Preview").Click("button", fmt.Sprintf("Send %d deliveries", skipped))
	p.ended(t, id, "DELIVERED", first+held+skipped)
	page.Open("/recipients/"+id).See("#skipped", "Backfilled")

	p.eachOnce(t, id, published)
}

// breakerIsSeen looks at the pages of a recipient whose breaker opens, and has it probed when it is mended.
func (p *place) breakerIsSeen(list, page *browser.Page, id string, waiting int) {
	list.See("#state-"+id, "paused by the breaker since").See("#state-"+id, fmt.Sprintf("probing every 1 h, %d waiting", waiting))
	page.Open("/deliveries?state=RETRYING&recipientId="+id).See("#rows .next", "paused by the breaker").SeeNot("#rows .next", "ago")
	page.Open("/deliveries?state=WAITING&recipientId="+id).See("#rows .next", "paused by the breaker")
	page.Click("#rows a[data-drawer]", "").See("#drawer #waiting", "paused by the breaker since").See("#drawer #waiting", "probing every 1 h")
	page.Open("/recipients/"+id).See("#breaker", "paused by the breaker since").See("#breaker", "Next probe in")
	// A probe finds out that it is mended, long before its time.
	p.receiver.Answer(id, http.StatusOK)
	page.Click("button", "Probe now").See(".flash", "Probing now").SeeNot("#recipient-status", "paused by the breaker")
	list.SeeNot("#state-"+id, "paused by the breaker").See("#state-"+id, "OK")
}

// eachOnce checks that a receiver has accepted so many events, each once.
func (p *place) eachOnce(t *testing.T, id string, published int) {
	t.Helper()
	got := map[string]int{}
	for _, r := range p.receiver.Of(id) {
		if r.Status == http.StatusOK {
			got[r.ID]++
		}
	}
	if len(got) != published {
		t.Errorf("%d events arrived of %d", len(got), published)
	}
	for key, n := range got {
		if n != 1 {
			t.Errorf("%s arrived %d times", key, n)
		}
	}
}

// sendAll has all deliveries of a recipient that wait for their next attempt attempted now.
func (p *place) sendAll(t *testing.T, id string) {
	t.Helper()
	waittest.NoError(t, "nothing to wait for its next attempt", func() error {
		list, _ := p.system.REST.Do(t, http.MethodGet, "/v1/deliveries?pageSize=1000&state=RETRYING&recipientId="+id, nil)["deliveries"].([]any)
		if len(list) == 0 {
			return nil
		}
		var targets []harness.Object
		for _, x := range list {
			if d, ok := x.(map[string]any); ok {
				targets = append(targets, harness.Object{"recipientId": id, "eventId": d["eventId"]})
			}
		}
		p.system.REST.Do(t, http.MethodPost, "/v1/deliveries:sendNow", harness.Object{"deliveries": targets})
		return fmt.Errorf("%d wait", len(list))
	})
}
