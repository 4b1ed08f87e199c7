package browser_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// timesStory looks at times in a zone far from UTC, filters by them, and chooses UTC, which is kept.
func (p *place) timesStory(t *testing.T) {
	a := p.system.AddAppliance(t, "times-1")
	key := p.publish(t, a.Token, harness.NewEvent(a.ID, "times-1", begun, harness.Object{}))
	const zone = "GMT+5:30" // without daylight saving time
	page := p.come(t, viewer).Zone("Asia/Kolkata").Open("/events/"+key).See(".timeline", zone).SeeNot(".timeline", "UTC")
	page.Is("the timeline has milliseconds", `/\d\d:\d\d:\d\d\.\d{3} GMT/.test(document.querySelector(".timeline time").innerText)`)
	page.Is("the title has both zones", `/GMT\+5:30, .* UTC$/.test(document.querySelector(".timeline time").title)`)

	// A filter is in the zone that is shown.
	local := time.Now().In(time.FixedZone("", int((5*time.Hour + 30*time.Minute).Seconds())))
	const layout = "2006-01-02 15:04:05"
	page.Open("/events?applianceId="+a.ID).Fill("Since ("+zone+")", local.Add(-time.Hour).Format(layout)).Click("button", "Filter")
	page.Await("the filter to be in the address", `location.search.includes("startTime=2") && document.readyState === "complete"`)
	page.See("main table", key).Is("the field shows what was typed", `eyes.holds("Since (GMT+5:30)", "`+local.Add(-time.Hour).Format(layout)+`")`)
	page.Fill("Since ("+zone+")", local.Add(time.Hour).Format(layout)).Click("button", "Filter").SeeNot("main table", key).See("main", "match")

	// The choice is kept.
	page.Open("/events/"+key).Click("details.menu summary", "").Click("button", "Show times in UTC").See(".timeline", "UTC")
	page.Open("/events/"+key).See(".timeline", "UTC").SeeNot(".timeline", zone)
	page.Open("/events").See("label", "Since (UTC)")
}
