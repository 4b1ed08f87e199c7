package maintenance

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Syntax shows how a window is written in a line.
const Syntax = "write 'Sat,Sun 22:00 6h Europe/Berlin' (days, start, duration, time zone) or " +
	"'2026-12-01T22:00 2026-12-02T04:00 Europe/Berlin' (start, end, time zone), and drain=20 behind it for 20 deliveries a second afterwards"

const (
	localMinute = "2006-01-02T15:04"
	localSecond = "2006-01-02T15:04:05"
	drainPrefix = "drain="
)

// Parse reads a window from a line; see Syntax. `daily` and ranges such as `Mon-Fri` are days too. Local times that the clocks of the zone
// skip are errors; of a time that they show twice, a window starts at the first and ends at the second.
func Parse(text string) (Window, error) {
	words := strings.Fields(text)
	var w Window
	if n := len(words); n == 4 || n == 5 {
		if rate, ok := strings.CutPrefix(words[n-1], drainPrefix); ok {
			var err error
			if w.DrainRate, err = strconv.Atoi(rate); err != nil || w.DrainRate < 0 || w.DrainRate > MaxDrainRate {
				return w, fmt.Errorf("%q is not a number of deliveries per second from 0 to %d", rate, MaxDrainRate)
			}
			words = words[:n-1]
		}
	}
	if len(words) < 3 || len(words) > 4 {
		return w, fmt.Errorf("%q is not a maintenance window: %s", text, Syntax)
	}
	var err error
	if w.Zone, err = Zone(words[len(words)-1]); err != nil {
		return w, err
	}
	if len(words) == 3 {
		return w, w.parseOnce(words[0], words[1])
	}
	return w, w.parseWeekly(words[0], words[1], words[2])
}

func (w *Window) parseOnce(start, end string) (err error) {
	if w.Start, err = ParseTime(start, w.Zone, true); err != nil {
		return err
	}
	if w.End, err = ParseTime(end, w.Zone, false); err != nil {
		return err
	}
	switch held := w.End.Sub(w.Start); {
	case held <= 0:
		return fmt.Errorf("the end %s is not after the start %s", end, start)
	case held > MaxHeld:
		return fmt.Errorf("%s to %s is longer than 7 days, for which deliveries are held at most", start, end)
	}
	return nil
}

// ParseTime reads a time of a zone, or one with an offset. Of a time that the clocks show twice it is the first or the last.
func ParseTime(text string, zone *time.Location, first bool) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{localMinute, localSecond} {
		wall, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if !exists(wall, zone) {
			return time.Time{}, fmt.Errorf("%s does not exist in %s: the clocks are put forward then", text, zone)
		}
		return local(wall, zone, first), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write it as 2026-12-01T22:00", text)
}

func (w *Window) parseWeekly(days, clock, duration string) (err error) {
	if w.Days, err = ParseDays(days); err != nil {
		return err
	}
	if w.Clock, err = ParseClock(clock); err != nil {
		return err
	}
	w.Duration, err = ParseDuration(duration)
	return err
}

// Zone returns the time zone of a name.
func Zone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if name == "" || name == "Local" || err != nil {
		return nil, fmt.Errorf("%q is not a time zone of the IANA database, such as Europe/Berlin or UTC", name)
	}
	return zone, nil
}

// ParseClock reads a time of day.
func ParseClock(text string) (Clock, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return Clock{}, fmt.Errorf("%q is not a time of day from 00:00 to 23:59", text)
	}
	return Clock{Hour: t.Hour(), Minute: t.Minute()}, nil
}

// ParseDuration reads how long a weekly window is open, such as `6h`, `90m` or `2d`.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(max(n, 0), 1000)) * day
	}
	if err != nil || d < MinWeekly || d > MaxHeld {
		return 0, fmt.Errorf("%q is not a duration from 1m to 7d, such as 6h", text)
	}
	return d, nil
}

func dayNames() []string { return []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"} }

// ParseDays reads days such as `Sat,Sun`, `Mon-Fri` or `daily`.
func ParseDays(text string) (out []time.Weekday, err error) {
	if strings.EqualFold(text, "daily") {
		text = "Mon-Sun"
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		first, err := dayOf(from)
		last := first
		if ranged && err == nil {
			last, err = dayOf(to)
		}
		if err != nil {
			return nil, err
		}
		for d := first; ; d = (d + 1) % 7 {
			if slices.Contains(out, d) {
				return nil, fmt.Errorf("%s is named twice in %q", dayNames()[d], text)
			}
			if out = append(out, d); d == last {
				break
			}
		}
	}
	return out, nil
}

func dayOf(name string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(name, dayNames()[d]) || strings.EqualFold(name, d.String()) {
			return d, nil
		}
	}
	return 0, errors.New(strconv.Quote(name) + " is not a day: use Mon, Tue, Wed, Thu, Fri, Sat and Sun, or daily")
}

// String writes the window as Parse reads it.
func (w Window) String() string {
	var out string
	if w.Weekly() {
		names := make([]string, len(w.Days))
		for i, d := range w.Days {
			names[i] = dayNames()[d]
		}
		out = fmt.Sprintf("%s %02d:%02d %s", strings.Join(names, ","), w.Clock.Hour, w.Clock.Minute, durationText(w.Duration))
		if len(w.Days) == 7 {
			_, rest, _ := strings.Cut(out, " ")
			out = "daily " + rest
		}
	} else {
		out = timeText(w.Start, w.Zone, true) + " " + timeText(w.End, w.Zone, false)
	}
	out += " " + w.Zone.String()
	if w.DrainRate > 0 {
		out += " " + drainPrefix + strconv.Itoa(w.DrainRate)
	}
	return out
}

func timeText(t time.Time, zone *time.Location, first bool) string {
	local := t.In(zone)
	text := local.Format(localMinute)
	if local.Second() != 0 {
		text = local.Format(localSecond)
	}
	if back, err := ParseTime(text, zone, first); err != nil || !back.Equal(t) {
		return local.Format(time.RFC3339Nano)
	}
	return text
}

func durationText(d time.Duration) string {
	switch {
	case d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	default:
		return d.String()
	}
}

// TimeIn writes a time for people, with its zone: the time of day, and the date if it is not today.
func TimeIn(t, now time.Time, zone *time.Location) string {
	local, today := t.In(zone), now.In(zone)
	layout := "15:04"
	if local.Format(time.DateOnly) != today.Format(time.DateOnly) {
		layout = "2006-01-02 15:04"
	}
	return local.Format(layout) + " " + zone.String()
}
