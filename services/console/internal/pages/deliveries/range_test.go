package deliveries_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// TestRangesOfTimeBecomeTimes asks for each range, in a zone in which another day has begun than in UTC for half of the day.
func TestRangesOfTimeBecomeTimes(t *testing.T) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{NextPageToken: "later"}}
	who := start(t, h).As("viewer")
	who.Cookies["outbound-tz"] = "Pacific%2FAuckland"
	zone, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(zone)
	day := func(days int) time.Time { return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, zone) }
	for _, x := range []struct {
		query      string
		start, end time.Time
	}{
		{"range=15m", now.Add(-15 * time.Minute), time.Time{}}, {"range=1h", now.Add(-time.Hour), time.Time{}},
		{"range=24h", now.Add(-24 * time.Hour), time.Time{}}, {"range=7d", now.Add(-7 * 24 * time.Hour), time.Time{}},
		{"range=today", day(0), time.Time{}}, {"range=yesterday", day(-1), day(0)},
		{"range=fortnight", time.Time{}, time.Time{}}, {"", time.Time{}, time.Time{}},
		// Times that are given themselves are kept.
		{"range=1h&startTime=2026-11-21T10:00:00Z", time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), time.Time{}},
	} {
		page := who.Get("/deliveries?recipientId=crm&" + x.query)
		asked, _ := h.last().(*outboundv1.ListDeliveriesRequest)
		if page.Status != http.StatusOK || asked.GetRecipientId() != "crm" {
			t.Fatalf("%s: %d, asked %v", x.query, page.Status, asked)
		}
		// A page is asked for within a minute, in whole seconds.
		near := func(got, want time.Time) bool { return got.Sub(want) > -2*time.Second && got.Sub(want) < time.Minute }
		if (asked.StartTime == nil) != x.start.IsZero() || asked.StartTime != nil && !near(asked.GetStartTime().AsTime(), x.start) {
			t.Errorf("%s: asked since %v, want %s", x.query, asked.GetStartTime().AsTime(), x.start)
		}
		if (asked.EndTime == nil) != x.end.IsZero() || asked.EndTime != nil && !asked.GetEndTime().AsTime().Equal(x.end) {
			t.Errorf("%s: asked until %v, want %s", x.query, asked.GetEndTime().AsTime(), x.end)
		}
		current := strings.Contains(page.Body, `class="chip" href="/deliveries?recipientId=crm" aria-current="true"`)
		if chosen := strings.HasPrefix(x.query, "range=") && !x.start.IsZero() && !strings.Contains(x.query, "&"); current != chosen {
			t.Errorf("%s: a range is shown as chosen: %v", x.query, current)
		}
		if !strings.Contains(page.Body, `href="/deliveries?range=yesterday&amp;recipientId=crm"`) && x.query != "range=yesterday" {
			t.Errorf("%s: the ranges do not keep the recipient", x.query)
		}
		// Later pages must not move with the time: their token is for these times.
		if at := strings.Index(page.Body, "page=later"); at < 0 || strings.Contains(page.Body[at-150:at+150], "range=") ||
			!x.start.IsZero() && !strings.Contains(page.Body[at-150:at+150], "startTime=") {
			t.Errorf("%s: the next page is not of the same times", x.query)
		}
	}
}
