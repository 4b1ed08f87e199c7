package status

import (
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
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

// Usage is what was used at a time.
type Usage struct {
	At                    time.Time
	Events, Streams, Free float64
}

func usages(of []Usage) []usage {
	out := make([]usage, len(of))
	for i, u := range of {
		out[i] = usage{at: u.At, events: u.Events, streams: u.Streams, free: u.Free}
	}
	return out
}

// EventsFull is when EVENTS is full at the rate of samples.
func EventsFull(of []Usage, x control.StreamState, now time.Time) time.Time {
	return eventsFull(usages(of), x, now)
}

// DiskFull is when the disk is full at the rate of samples.
func DiskFull(of []Usage, free, room uint64, now time.Time) time.Time {
	return diskFull(usages(of), free, room, now)
}

// Kept is how many of samples are kept.
func Kept(of ...Usage) int {
	g := &growth{}
	for _, u := range usages(of) {
		g.add(u)
	}
	return len(g.samples())
}

// FullNotice is the notice about something that is full at a time.
func FullNotice(what, remedy string, at, now time.Time) string {
	return strings.Join(fullNotice(what, remedy, at, now), "\n")
}
