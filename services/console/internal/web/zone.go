package web

import (
	"net/url"
	"time"
	_ "time/tzdata" // zones of browsers, where the host has no zones
)

// The cookies with the zone of the browser, and with the choice to show times in UTC.
const (
	cookieZone   = "outbound-tz"
	cookieInUTC  = "outbound-zone"
	longestZone  = 64
	rangeParam   = "range"
	filterLayout = "2006-01-02 15:04:05"
)

// Zone returns the zone in which the pages show times: the one of the browser, or UTC if the user chose it or the zone is not known.
func (r *Request) Zone() *time.Location {
	if c, err := r.Cookie(cookieInUTC); err == nil && c.Value == "utc" {
		return time.UTC
	}
	c, err := r.Cookie(cookieZone)
	if err != nil || len(c.Value) > longestZone || c.Value == "Local" {
		return time.UTC
	}
	name, err := url.PathUnescape(c.Value)
	if err != nil {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}

// preset is a range of time to choose.
type preset struct {
	key, label string
	// bounds returns where it begins and ends; a zero end: it has not ended. now is in the zone of the user.
	bounds func(now time.Time) (start, end time.Time)
}

func last(d time.Duration) func(time.Time) (start, end time.Time) {
	return func(now time.Time) (start, end time.Time) { return now.Add(-d), time.Time{} }
}

// midnight is the beginning of a day, days from the one of now.
func midnight(now time.Time, days int) time.Time {
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location())
}

func presets() []preset {
	return []preset{
		{"15m", "Last 15 min", last(15 * time.Minute)}, {"1h", "1 h", last(time.Hour)}, {"24h", "24 h", last(24 * time.Hour)},
		{"7d", "7 d", last(7 * 24 * time.Hour)},
		{"today", "Today", func(now time.Time) (start, end time.Time) { return midnight(now, 0), time.Time{} }},
		{"yesterday", "Yesterday", func(now time.Time) (start, end time.Time) { return midnight(now, -1), midnight(now, 0) }},
	}
}

// RangeFilter returns the values of a filter in which the parameter `range` has become times of the fields startTime and endTime, in UTC,
// at whole seconds. Times that are given themselves are kept, and an unknown range is ignored. Days are those of the user's zone.
func (r *Request) RangeFilter(startTime, endTime string) url.Values {
	q := r.URL.Query()
	if q.Get(startTime) != "" || q.Get(endTime) != "" {
		q.Del(rangeParam)
		return q
	}
	for _, x := range presets() {
		if x.key != q.Get(rangeParam) {
			continue
		}
		start, end := x.bounds(time.Now().In(r.Zone()))
		q.Set(startTime, start.UTC().Format(filterLayout))
		if !end.IsZero() {
			q.Set(endTime, end.UTC().Format(filterLayout))
		}
		return q
	}
	q.Del(rangeParam)
	return q
}

// RangeLink is a range of time to choose.
type RangeLink struct {
	Label, Address string
	Current        bool
}

// RangeLinks are the ranges to choose from, which keep the other filters. Chosen once more, a range is removed.
func (r *Request) RangeLinks(startTime, endTime string) []RangeLink {
	q := r.URL.Query()
	chosen := q.Get(rangeParam)
	if q.Get(startTime) != "" || q.Get(endTime) != "" {
		chosen = ""
	}
	for _, name := range []string{startTime, endTime, "page"} {
		q.Del(name)
	}
	out := []RangeLink{}
	for _, x := range presets() {
		q.Set(rangeParam, x.key)
		if x.key == chosen {
			q.Del(rangeParam)
		}
		address := r.URL.Path
		if len(q) > 0 {
			address += "?" + q.Encode()
		}
		out = append(out, RangeLink{Label: x.label, Address: address, Current: x.key == chosen})
	}
	return out
}
