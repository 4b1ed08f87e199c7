package status_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// hours are samples of some hours, one each 5 minutes, made by a function of the hour.
func hours(now time.Time, n float64, at func(hour float64) status.Usage) []status.Usage {
	var out []status.Usage
	for h := 0.0; h <= n; h += 5.0 / 60 {
		u := at(h)
		u.At = now.Add(-time.Duration((n - h) * float64(time.Hour)))
		out = append(out, u)
	}
	return out
}

const giB = float64(1 << 30)

func TestAStreamThatFillsIsForeseenWhereTheTrendIsClear(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	noise := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	x := control.StreamState{Name: "EVENTS", MaxBytes: 8 << 30, Bytes: 6 << 30, MaxAge: 8 * 24 * time.Hour,
		FirstTime: now.Add(-24 * time.Hour)}
	grows := func(perHour float64) func(float64) status.Usage {
		return func(h float64) status.Usage { return status.Usage{Events: 5*giB + h*perHour} }
	}
	uneven := func(perHour, by float64) func(float64) status.Usage {
		return func(h float64) status.Usage { return status.Usage{Events: h*perHour + noise.Float64()*by} }
	}
	stops := func(h float64) status.Usage { return status.Usage{Events: min(h, 3) * giB / 24} }
	old, empty, unlimited := x, x, x
	old.FirstTime = now.Add(-7 * 24 * time.Hour)
	empty.Bytes = 5 << 30
	unlimited.MaxBytes = 0
	for name, c := range map[string]struct {
		of   []status.Usage
		x    control.StreamState
		want time.Duration // 0: nothing is said
	}{
		"it grows":            {hours(now, 6, grows(giB/24)), x, 48 * time.Hour},
		"it grows, unevenly":  {hours(now, 6, uneven(giB/24, giB/100)), x, 48 * time.Hour},
		"its oldest go first": {hours(now, 6, grows(giB/24)), old, 0},
		"too early":           {hours(now, 0.8, grows(giB/24)), x, 0},
		"below 70 %":          {hours(now, 6, grows(giB/24)), empty, 0},
		"no limit":            {hours(now, 6, grows(giB/24)), unlimited, 0},
		"it shrinks":          {hours(now, 6, grows(-giB/24)), x, 0},
		"it stands":           {hours(now, 6, grows(0)), x, 0},
		"far away":            {hours(now, 6, grows(giB/1000)), x, 0},
		"it goes up and down": {hours(now, 6, uneven(giB/100, giB)), x, 0},
		"it has stopped":      {hours(now, 6, stops), x, 0},
	} {
		at := status.EventsFull(c.of, c.x, now)
		if c.want == 0 {
			if !at.IsZero() {
				t.Errorf("%s: full at %v", name, at)
			}
			continue
		}
		if got := at.Sub(now); got < c.want*95/100 || got > c.want*105/100 {
			t.Errorf("%s: full in %v, want about %v", name, got, c.want)
		}
	}
}

func TestADiskThatFillsIsForeseenUnlessTheStreamsAloneGrowAndHaveRoom(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	disk := func(free, own float64) []status.Usage {
		return hours(now, 6, func(h float64) status.Usage { return status.Usage{Free: 100*giB - h*free, Streams: h * own} })
	}
	for name, c := range map[string]struct {
		of         []status.Usage
		free, room uint64
		want       time.Duration
	}{
		"others fill it":               {disk(giB, 0), 72 << 30, 12 << 30, 72 * time.Hour},
		"the streams alone, with room": {disk(giB, giB), 72 << 30, 12 << 30, 0},
		"the streams, without room":    {disk(giB/4, giB/4), 6 << 30, 12 << 30, 24 * time.Hour},
		"nothing":                      {disk(0, 0), 6 << 30, 12 << 30, 0},
	} {
		at := status.DiskFull(c.of, c.free, c.room, now)
		if got := at.Sub(now); at.IsZero() != (c.want == 0) || c.want > 0 && (got < c.want*95/100 || got > c.want*105/100) {
			t.Errorf("%s: full at %v, want in %v", name, at, c.want)
		}
	}
}

func TestSamplesAreBounded(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if n := status.Kept(hours(now, 48, func(float64) status.Usage { return status.Usage{} })...); n != 72 {
		t.Errorf("%d samples are kept", n)
	}
	later, earlier := status.Usage{At: now}, status.Usage{At: now.Add(-time.Hour)}
	if n := status.Kept(later, earlier); n != 1 {
		t.Errorf("%d samples are kept though the clock went back", n)
	}
}

func TestAForecastSaysHowLongIsLeft(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for left, want := range map[time.Duration]string{
		72 * time.Hour:  "The disk is full in about 3 days at the rate of the last hours (2026-11-24 12:00 UTC): mend it.",
		5 * time.Hour:   "The disk is full in about 5 hours at the rate of the last hours (2026-11-21 17:00 UTC): mend it.",
		time.Minute:     "The disk is full in about an hour at the rate of the last hours (2026-11-21 12:01 UTC): mend it.",
		200 * time.Hour: "",
	} {
		if got := status.FullNotice("The disk", "mend it", now.Add(left), now); got != want {
			t.Errorf("%v: %q, want %q", left, got, want)
		}
	}
}
