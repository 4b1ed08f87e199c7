package browser_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// publish hands in an event over REST with a token, again as long as the store is slow, and returns its key.
func (p *place) publish(t *testing.T, token string, e harness.Event) string {
	t.Helper()
	c := harness.NewClient(p.system.REST.Base, token)
	defer c.Close()
	waittest.NoError(t, "the event to be accepted", func() error {
		answer, err := c.CallAs("application/cloudevents+json", http.MethodPost, "/v1/events", e)
		if err == nil && answer.Status == http.StatusServiceUnavailable {
			return fmt.Errorf("%s", answer.Body)
		}
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("publish %s: %d %s %v", e.ID, answer.Status, answer.Body, err)
		}
		return nil
	})
	return e.Key()
}

// keep marks a page, so that it shows whether it was loaded anew.
func keep(page *browser.Page) { page.Do("globalThis.kept = true") }

// kept checks that a page was not loaded anew.
func kept(page *browser.Page) {
	page.Is("the page was not loaded anew", "globalThis.kept === true")
}

// httpStory is the way from nothing to a delivery over HTTPS, and through an outage of the receiver.
func (p *place) httpStory(t *testing.T) {
	page := p.come(t, admin).Allow("status of 422")
	// The appliance, with credentials that are shown once.
	page.Open("/settings/appliances").Fill("ID", "desk-1").Fill("Name", "The help desk's").Click("button", "Add appliance").See("h2",
		"Credentials of desk-1")
	token := page.Text(`[...document.querySelectorAll("dt")].find((e) => e.innerText.startsWith("Token")).nextElementSibling.firstChild.data.trim()`)

	// The recipient, with the receiver's own authority from a file.
	ca := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(ca, []byte(p.receiver.CAPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	page.Open("/").Click("a", "Add HTTP recipient").AwaitAt("/recipients/new?channel=http").See("h1", "Add HTTP recipient")
	page.Fill("Name", "Ticket desk").Fill("URL", p.receiver.SecureURL("story")).Upload("… or upload a file", ca).See("#ca-contents", "Acme Co")
	page.ClickLabel("Support session start").Fill("Retry interval", "soon").Click("button", "Add recipient").See(".fault", "")
	page.Is("what was typed is still there",
		`eyes.holds("Name", "Ticket desk") && eyes.holds("Retry interval", "soon") && eyes.labelled("Root certificates").value.includes("BEGIN CERTIFICATE")`)
	page.Fill("Retry interval", "1 h").Click("button", "Add recipient").See("h1", "Ticket desk").See("#recipient-status", "OK")
	id := page.Text("location.pathname.split('/').pop()")

	// The lists, open all the while.
	board := p.come(t, operator)
	board.See("#row-"+id, "OK")
	list := p.come(t, operator).Open("/deliveries").See("#live-state", "live").See("#nothing, #rows", "")
	keep(board)
	keep(list)

	first := p.publish(t, token, harness.NewEvent("desk-1", "story-1", begun, harness.Object{"external_key": "INC-1"}))
	row := func(key string) string { return "#rows tr:has(a[href$='" + key + "'])" }
	list.See(row(first), "delivered")
	board.See("#day-"+id, "100 %")
	p.arrived(t, "story", first, http.StatusOK)

	p.holdsStill(t, list, token, first, row)

	// The receiver breaks.
	p.receiver.Answer("story", http.StatusInternalServerError)
	p.receiver.Say("story", "out of order: the disk is full")
	second := p.publish(t, token, harness.NewEvent("desk-1", "story-2", begun, harness.Object{"external_key": "INC-2"}))
	list.See(row(second), "retrying").See(row(second), "500")
	board.See("#state-"+id, "failing").See("#error-"+id, "500").See("#queue-"+id, "1")

	// It is mended, and what failed is sent again from beside the list.
	p.receiver.Answer("story", http.StatusOK)
	p.receiver.Say("story", "thank you")
	list.Click(row(second)+" a[data-drawer]", "").See("#drawer", "out of order: the disk is full").See("#drawer", "INC-2")
	list.Click("#drawer button", "Retry").See("#ask", "Retry this delivery?").Click("#ask button", "Retry")
	list.See(".flash", "Retry queued: 1").See(row(second), "delivered").See(row(second), "replay")
	board.See("#state-"+id, "OK")

	// The first delivery still waits for its next attempt. Send now attempts it immediately.
	list.Open("/deliveries?state=RETRYING").Click(row(second)+" a[data-drawer]", "").Click("#drawer button", "Send now").
		See("#ask", "Send this delivery now?").Click("#ask button", "Send now").See(".flash", "Attempting now: 1")
	list.Open("/deliveries/"+id+"/"+second).See("main", "delivered").See(".log", "500").See(".log", "200").See("main", "thank you")
	board.See("#queue-"+id, "0")
	kept(board)
	p.arrived(t, "story", second, http.StatusInternalServerError, http.StatusOK, http.StatusOK)
}

// holdsStill shows that what is pressed stays under the mouse though more arrives.
func (p *place) holdsStill(t *testing.T, list *browser.Page, token, first string, row func(string) string) {
	t.Helper()
	before := read(t, list).Records
	release := list.Hold(row(first) + " a[data-drawer]")
	held := p.publish(t, token, harness.NewEvent("desk-1", "story-held", begun, harness.Object{"external_key": "INC-0"}))
	p.arrived(t, "story", held, http.StatusOK)
	list.Await("to be told of it", fmt.Sprintf("eyes.tally.records > %d", before))
	if n := list.Count(row(held)); n != 0 {
		t.Error("the list moved under the mouse")
	}
	release().See("#drawer", "INC-1").Click("#drawer [data-drawer-close]", "").See(row(held), "delivered")
}

// arrived waits until a receiver has answered an event so often and in such ways.
func (p *place) arrived(t *testing.T, recipient, key string, want ...int) {
	t.Helper()
	waittest.NoError(t, key+" to arrive", func() error {
		var got []int
		for _, r := range p.receiver.Of(recipient) {
			if r.ID == key {
				got = append(got, r.Status)
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("it was answered %v, want %v", got, want)
		}
		return nil
	})
}
