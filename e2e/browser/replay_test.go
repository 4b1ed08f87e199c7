package browser_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// The deliveries of the replay's story: some that arrive at once, some that the receiver refuses until they expire, some that it
// refuses for good.
const (
	arrivedBefore = 2
	expiredOnes   = 7
	rejectedOnes  = 5
	lostOnes      = expiredOnes + rejectedOnes
)

// refusal makes a recipient with deliveries of all three ends, and returns its id and the keys of those that did not arrive.
func (p *place) refusal(t *testing.T) (id string, lost []string) {
	t.Helper()
	a := p.system.AddAppliance(t, "again-1")
	id = p.system.AddRecipient(t, harness.Object{
		"id": "again", "displayName": "Sent again", "eventTypes": []string{joined}, "appliances": []string{a.ID},
		"http": harness.Object{"url": p.receiver.URL("again"), "retryInterval": "1s", "retryDuration": "2s", "stopOnGone": true},
	})
	n := 0
	publish := func(many int) (keys []string) {
		for range many {
			n++
			keys = append(keys, p.publish(t, a.Token, harness.NewEvent(a.ID, fmt.Sprintf("again-%02d", n), joined, harness.Object{})))
		}
		return keys
	}
	publish(arrivedBefore)
	p.ended(t, id, "DELIVERED", arrivedBefore)
	p.receiver.Answer("again", http.StatusInternalServerError)
	lost = publish(expiredOnes)
	p.ended(t, id, "EXPIRED", expiredOnes)
	p.receiver.Answer("again", http.StatusGone)
	lost = append(lost, publish(rejectedOnes)...)
	p.ended(t, id, "REJECTED", rejectedOnes)
	p.receiver.Answer("again", http.StatusOK)
	return id, lost
}

// ended waits until so many deliveries of a recipient have ended in a state.
func (p *place) ended(t *testing.T, id, state string, want int) {
	t.Helper()
	waittest.NoError(t, fmt.Sprintf("%d deliveries to be %s", want, state), func() error {
		list, _ := p.system.REST.Do(t, http.MethodGet, "/v1/deliveries?pageSize=1000&recipientId="+id+"&state="+state, nil)["deliveries"].([]any)
		if len(list) != want {
			return fmt.Errorf("there are %d", len(list))
		}
		return nil
	})
}

// replayStory sends all that was refused again, from the filter to the last delivery, and cancels a second replay on its way. What
// the receiver counts is what the pages say.
func (p *place) replayStory(t *testing.T) {
	id, lost := p.refusal(t)
	before := len(p.receiver.Of("again"))
	page := p.come(t, operator).Open("/deliveries")
	page.Choose("Recipient", "Sent again").Click("button", "Filter").See(".chosen", "recipient: Sent again").See("#rows",
		"expired").See("#rows", "rejected")
	page.Click("a", "Replay all matching").See("h1", "Replay all matching").See(".chosen",
		"expired, rejected and cancelled").See(".chosen", "Sent again")
	figure(page, "Deliveries", lostOnes)
	figure(page, "Already delivered", 0)
	figure(page, "Unavailable", 0)
	held(t, page.Stable(), browser.NewAxe(t))
	page.Look(browser.Wide, browser.Light)
	// Four a second, so that there is progress to see.
	page.Fill("Deliveries per second", "4").Click("button", "Preview").See("dl.figures", "Estimated duration 3 s")
	if n := len(p.receiver.Of("again")); n != before {
		t.Errorf("a preview sent %d requests", n-before)
	}
	page.Click("button", fmt.Sprintf("Send %d deliveries", lostOnes)).See("h1", "Replay").See(".flash", "Replay started")
	keep(page)
	page.See("#progress [role=status]", "done").See("#progress", "100 %")
	kept(page)
	figure(page, "Found", lostOnes)
	figure(page, "Queued", lostOnes)
	figure(page, "Unavailable", 0)
	page.SeeNot("button", "Cancel replay")
	held(t, page.Stable(), browser.NewAxe(t))
	page.Look(browser.Wide, browser.Light)
	page.Click("a", "View deliveries").See("h1", "Deliveries").
		Await("all of them to be delivered", fmt.Sprintf(`(() => { const rows = [...document.querySelectorAll("#rows > tr")]; return rows.length === %d && rows.every((r) => r.innerText.includes("delivered") && r.innerText.includes("replay")); })()`, lostOnes))
	p.sent(t, before, lost)

	p.cancelledReplay(t, id, page, lost)
}

// cancelledReplay starts the same at one a second and cancels it: what was queued by then arrives, and no more.
func (p *place) cancelledReplay(t *testing.T, id string, page *browser.Page, lost []string) {
	t.Helper()
	before := len(p.receiver.Of("again"))
	page.Open("/deliveries?recipientId="+id).Click("a", "Replay all matching").Fill("Deliveries per second", "1").Click("button", "Preview")
	page.See("dl.figures", fmt.Sprintf("Estimated duration %d s", lostOnes)).See(".flash",
		fmt.Sprintf("%d events were already delivered", lostOnes))
	page.Click("button", fmt.Sprintf("Send %d deliveries", lostOnes)).See("#progress [role=status]", "running").See("#progress", "left")
	page.Await("some to be queued", `Number(`+figureText("Queued")+`) >= 2`)
	page.Click("button", "Cancel replay").See("dialog", "No more deliveries are queued").Click("dialog button", "Cancel replay")
	page.See(".flash", "already queued still go out").See("#progress [role=status]", "cancelled").SeeNot("button", "Cancel replay")
	queued, err := strconv.Atoi(page.Text(figureText("Queued")))
	if err != nil || queued < 2 || queued >= lostOnes {
		t.Fatalf("a replay of %d that was cancelled queued %d: %v", lostOnes, queued, err)
	}
	page.Click("a", "View deliveries").Await(fmt.Sprint(queued, " that were queued to be delivered"),
		fmt.Sprintf(`(() => { const rows = [...document.querySelectorAll("#rows > tr")]; return rows.length === %d && rows.every((r) => r.innerText.includes("delivered")); })()`, queued))
	arrived := p.receiver.Of("again")[before:]
	keys := map[string]bool{}
	for _, r := range arrived {
		keys[r.ID] = true
	}
	if len(arrived) != queued || len(keys) != queued {
		t.Errorf("%d requests about %d events came, want %d", len(arrived), len(keys), queued)
	}
	page.Open("/replays").See("table", "cancelled").See("table", "done")
	if n := page.Count(`#replays tbody tr`); n < 2 {
		t.Errorf("the list has %d replays", n)
	}
	for _, key := range lost {
		delete(keys, key)
	}
	if len(keys) != 0 {
		t.Errorf("%v came, which were not in the replay", keys)
	}
}

// sent checks that each of these events came once since there were so many requests, and nothing else.
func (p *place) sent(t *testing.T, before int, keys []string) {
	t.Helper()
	got := map[string]int{}
	all := p.receiver.Of("again")[before:]
	for _, r := range all {
		if r.Status != http.StatusOK {
			t.Errorf("%s was answered %d", r.ID, r.Status)
		}
		got[r.ID]++
	}
	for _, key := range keys {
		if got[key] != 1 {
			t.Errorf("%s came %d times, want once", key, got[key])
		}
	}
	if len(all) != len(keys) {
		t.Errorf("%d requests came, want %d", len(all), len(keys))
	}
}

// figureText is the value of one of the page's figures, by its name.
func figureText(name string) string {
	return `[...document.querySelectorAll("dl.figures dt")].find((e) => e.innerText === ` + strconv.Quote(name) +
		`)?.nextElementSibling.innerText`
}

// figure waits until one of the page's figures has a value.
func figure(page *browser.Page, name string, want int) {
	page.Await(strings.ToLower(name)+" to be "+strconv.Itoa(want), figureText(name)+` === "`+strconv.Itoa(want)+`"`)
}
