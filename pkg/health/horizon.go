package health

import (
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// ExpiryWithin is how far ahead deliveries that expire are told of.
const ExpiryWithin = 12 * time.Hour

// ExpiryHorizon is the time up to which the deliveries of a failing recipient are counted that expire: the last full hour within
// ExpiryWithin.
func ExpiryHorizon(now time.Time) time.Time { return now.Add(ExpiryWithin).Truncate(time.Hour) }

// ExpiringAccepted returns until when a delivery must have been accepted to expire before ExpiryHorizon. ok is false if none does: the
// oldest one that waits, accepted at a time, expires later.
func ExpiringAccepted(r *recipient.Recipient, oldest, now time.Time) (until time.Time, ok bool) {
	horizon := ExpiryHorizon(now)
	if oldest.IsZero() || !r.Expire(oldest).Before(horizon) {
		return time.Time{}, false
	}
	return horizon.Add(-r.Retry.Duration), true
}
