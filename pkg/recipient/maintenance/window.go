// Package maintenance knows the planned maintenance windows of recipients: when one is open, when the next one opens, and how a window
// is written in one line.
package maintenance

import (
	"slices"
	"time"
)

// Bounds of windows. The proto documents the same figures. Events are stored for 8 days, so nothing may be held for longer than MaxHeld.
const (
	MaxHeld      = 7 * 24 * time.Hour
	MinWeekly    = time.Minute
	MaxDrainRate = 10_000
	MaxWindows   = 20
)

const day = 24 * time.Hour

// Window is a planned time in which deliveries are held: once, from Start to End, or every week, on Days at Clock for Duration.
type Window struct {
	// Zone is the time zone in which it is planned and shown.
	Zone *time.Location
	// DrainRate is how many deliveries a second follow it; 0: as many as usual.
	DrainRate int

	Start, End time.Time

	// Days are empty for a window that comes once.
	Days []time.Weekday
	// Clock is when it opens, as the time that clocks show.
	Clock Clock
	// Duration is how long it is open: elapsed time, also when the clocks change.
	Duration time.Duration
}

// Clock is a time of day.
type Clock struct{ Hour, Minute int }

// Weekly reports whether it comes every week.
func (w Window) Weekly() bool { return len(w.Days) > 0 }

// Block is a time without a gap in which at least one window is open.
type Block struct {
	Start, End time.Time
	// Zone is that of the window that ends it.
	Zone *time.Location
	// DrainRate is the lowest of its windows; 0: none has one.
	DrainRate int
}

// within returns the times in which a window is open between two times, at least.
func (w Window) within(from, to time.Time) (out []Block) {
	add := func(start, end time.Time) {
		if start.Before(to) && end.After(from) {
			out = append(out, Block{Start: start, End: end, Zone: w.Zone, DrainRate: w.DrainRate})
		}
	}
	if !w.Weekly() {
		add(w.Start, w.End)
		return out
	}
	year, month, first := from.Add(-w.Duration).In(w.Zone).Date()
	for i := -1; ; i++ {
		date := time.Date(year, month, first+i, 12, 0, 0, 0, time.UTC)
		start := w.Clock.on(date, w.Zone)
		if !start.Before(to) {
			return out
		}
		if slices.Contains(w.Days, date.Weekday()) {
			add(start, start.Add(w.Duration))
		}
	}
}

// on is when the clocks of a zone show a time on a date. If they skip it, it is the moment at which they do; if they show it twice, it is
// the first time.
func (c Clock) on(date time.Time, zone *time.Location) time.Time {
	year, month, dayOfMonth := date.Date()
	return local(time.Date(year, month, dayOfMonth, c.Hour, c.Minute, 0, 0, time.UTC), zone, true)
}

// local is when the clocks of a zone show what wall shows in UTC, at first or at last if they show it twice.
func local(wall time.Time, zone *time.Location, first bool) time.Time {
	_, before := wall.Add(-day).In(zone).Zone()
	_, after := wall.Add(day).In(zone).Zone()
	offsets := [2]int{before, after}
	if !first {
		offsets = [2]int{after, before}
	}
	for _, offset := range offsets {
		t := wall.Add(-time.Duration(offset) * time.Second)
		if _, there := t.In(zone).Zone(); there == offset {
			return t
		}
	}
	// The clocks skip it: by the time before it would come after they do.
	skipped, _ := wall.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
	return skipped
}

// exists reports whether the clocks of a zone show what wall shows in UTC.
func exists(wall time.Time, zone *time.Location) bool {
	t := local(wall, zone, true).In(zone)
	return t.Hour() == wall.Hour() && t.Minute() == wall.Minute() && t.Day() == wall.Day()
}
