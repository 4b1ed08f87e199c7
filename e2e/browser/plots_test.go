package browser_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// plotsStory is from a plot to the deliveries that it counts: those that the receiver got.
func (p *place) plotsStory(t *testing.T) {
	const id, many = "plotted", 9
	a := p.system.AddAppliance(t, "plots-1")
	p.system.AddRecipient(t, harness.Object{
		"id": id, "displayName": "Plotted", "eventTypes": []string{departed}, "appliances": []string{a.ID},
		"http": harness.Object{"url": p.receiver.URL(id)},
	})
	for i := range many {
		p.publish(t, a.Token, harness.NewEvent(a.ID, fmt.Sprintf("plot-%02d", i), departed, harness.Object{}))
	}
	p.ended(t, id, "DELIVERED", many)
	p.eachOnce(t, id, many)

	const address = "/recipients/" + id + "?range=1h"
	page := p.come(t, viewer)
	delivered := func(page *browser.Page) *browser.Page {
		page.Open(address)
		waittest.NoError(t, "the plot to count what the receiver got", func() error {
			if got := page.Open(address).Stable().Text(`document.querySelector("#plot-deliveries .key.good b").innerText`); got != fmt.Sprint(many) {
				return fmt.Errorf("it counts %s", got)
			}
			return nil
		})
		// The intervals in which something was delivered, the first and the last of them by ids.
		page.Do(`(() => {
			const all = [...document.querySelectorAll("#plot-deliveries a")].filter((a) => !a.textContent.includes(": 0 delivered"));
			all[0].id = "first"; all.at(-1).setAttribute("data-last", "");
		})()`)
		return page
	}
	rows := `document.querySelectorAll("#rows tr").length`

	// A choice leads to the deliveries of the interval, as many as it tells.
	delivered(page).Hover("#first").See("#plot-deliveries .readout", " delivered, 0 failed attempts")
	told := page.Number(`Number(/: (\d+) delivered/.exec(document.querySelector("#first").textContent)[1])`)
	page.Click("#first", "").Await("the deliveries of the interval",
		`location.pathname === "/deliveries" && location.search.includes("endTime=")`)
	page.See("main", "since").Await("as many as the plot tells", fmt.Sprintf("%s === %d", rows, told))

	// A range that is dragged over leads to all of them.
	delivered(page).Drag("#first", "#plot-deliveries a:last-of-type")
	page.Await("the deliveries of the range", `location.pathname === "/deliveries" && location.search.includes("recipientId=`+id+`")`)
	page.Await("all that the receiver got", fmt.Sprintf("%s === %d", rows, many))

	// The same figures are in the table, and in the API.
	page.Open(address).Click(".plots-table summary", "").See(".plots-table tbody", " 0")
	page.Is("the table adds up to what the receiver got", fmt.Sprintf(
		`[...document.querySelectorAll(".plots-table tbody tr")].reduce((n, r) => n + Number(r.cells[1].innerText), 0) === %d`, many))
	total, _ := p.system.REST.Do(t, http.MethodGet, "/v1/timeseries?range=HOUR&recipientId="+id, nil)["total"].(map[string]any)
	if total["delivered"] != fmt.Sprint(many) || total["latencyP95"] == nil {
		t.Errorf("the API tells %v", total)
	}
	// The plots are in the zone that is shown, and stay in the range that was chosen.
	page.Zone("Asia/Kolkata").Open(address).See(".plots-note", "Times are in IST")
	page.Click("details.menu summary", "").Click("button", "Show times in UTC").See(".plots-note", "Times are in UTC")
	page.See(".plots [aria-current]", "1 h").Click(".plots nav a", "7 d").AwaitAt("/recipients/"+id+"?range=7d").
		See("#plots-head", "Last 7 days")

	p.rangesOfDeliveries(t, id, many)
}

// rangesOfDeliveries chooses ranges of time on the page of deliveries: they stay in the address, with the other filters.
func (p *place) rangesOfDeliveries(t *testing.T, id string, many int) {
	rows := fmt.Sprintf(`document.querySelectorAll("#rows tr").length === %d`, many)
	page := p.come(t, viewer).Zone("Pacific/Auckland").Open("/deliveries?recipientId=" + id)
	page.Click(".ranges a", "Last 15 min").AwaitAt("/deliveries?range=15m&recipientId="+id).Await("all of the last minutes", rows)
	page.See(".ranges [aria-current]", "Last 15 min").Click(".ranges a", "Yesterday").AwaitAt("/deliveries?range=yesterday&recipientId="+id).
		See("main", "No deliveries match")
	page.Is("yesterday ends at midnight of the zone that is shown",
		`[...document.querySelectorAll(".chosen time")].every((t) => t.innerText.includes(" 00:00:00 "))`)
	page.Open("/events?applianceId=plots-1").Click(".ranges a", "1 h").AwaitAt("/events?applianceId=plots-1&range=1h").
		See("main table", "plots-1")
}
