package status

import (
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Hourly returns what is counted of a recipient, and whether the log need not be searched.
func (a *Activity) Hourly(id string, now time.Time) ([]*outboundv1.Activity, bool) {
	c, known := a.of(id)
	return c.hourly(now), known
}

// SkippedSince is how many events of a recipient were skipped from a time on.
func (a *Activity) SkippedSince(id string, t time.Time) int64 { return a.skippedSince(id, t) }

// Searched notes what the log has of a recipient.
func (a *Activity) Searched(id string, tried, delivered time.Time) {
	a.noteSearched(id, tried, delivered)
}

// TokenNotices are the notices about tokens of appliances that end at these times, the soonest first.
func TokenNotices(now time.Time, ids []string, ends ...time.Time) []string {
	all := make([]expiry, len(ends))
	for i, end := range ends {
		all[i] = expiry{kind: expiryAppliance, resource: "appliances/" + ids[i], at: end}
	}
	return expiryNotices(all, now)
}
