package status

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/pause"
)

const (
	// sampleEvery is the pause between two looks at what is used, and maxSamples how many are kept: the last six hours.
	sampleEvery = 5 * time.Minute
	maxSamples  = 72
	// minSamples is how many there must be for a forecast: an hour.
	minSamples = 12
	// clearFit is which part of the variation a straight line must explain (the coefficient of determination).
	clearFit = 0.8
	// forecastWithin is how far ahead a forecast goes, and forecastNotice how far ahead one has a notice.
	forecastWithin = 30 * 24 * time.Hour
	forecastNotice = 7 * 24 * time.Hour
	// purgedFrom is the share of EVENTS in percent from which finished events are removed, so that growth up to it is normal.
	purgedFrom = 70
	// othersFrom is how much faster than the streams grow a disk must fill to be filled by others than the streams.
	othersFrom = 1.25
)

// usage is what was used at a time, in bytes.
type usage struct {
	at                    time.Time
	events, streams, free float64
}

// growth is what was used in the last hours.
type growth struct {
	mu   sync.Mutex
	last []usage
}

// add adds a sample, the newest. What was counted by another clock is forgotten.
func (g *growth) add(u usage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.last); n > 0 && !u.at.After(g.last[n-1].at) {
		g.last = nil
	}
	g.last = append(g.last, u)
	if more := len(g.last) - maxSamples; more > 0 {
		g.last = append([]usage(nil), g.last[more:]...)
	}
}

func (g *growth) samples() []usage {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]usage(nil), g.last...)
}

// rate is how fast a value of samples grows, in bytes per second, by least squares; ok is false if that is not clear: there are too few
// samples, they are not on a line, or the newer half does not grow as the whole does.
func rate(of []usage, value func(usage) float64) (perSecond float64, ok bool) {
	if len(of) < minSamples {
		return 0, false
	}
	perSecond, fit := line(of, value)
	later, _ := line(of[len(of)/2:], value)
	return perSecond, perSecond > 0 && fit >= clearFit && later >= perSecond/2
}

// line fits a line: its slope in units per second, and the coefficient of determination.
func line(of []usage, value func(usage) float64) (slope, fit float64) {
	var n, sx, sy, sxx, sxy, syy float64
	for _, u := range of {
		x, y := u.at.Sub(of[0].at).Seconds(), value(u)-value(of[0])
		n, sx, sy, sxx, sxy, syy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y, syy+y*y
	}
	dx, dy, dxy := sxx-sx*sx/n, syy-sy*sy/n, sxy-sx*sy/n
	if dx <= 0 || dy <= 0 {
		return 0, 0
	}
	return dxy / dx, dxy * dxy / (dx * dy)
}

// fullAt is when what is left is used up at a rate; zero: not within the time that a forecast goes ahead.
func fullAt(now time.Time, left, perSecond float64) time.Time {
	if seconds := left / perSecond; seconds <= forecastWithin.Seconds() {
		return now.Add(time.Duration(max(seconds, 0) * float64(time.Second)))
	}
	return time.Time{}
}

// eventsFull is when EVENTS is full at the rate of the samples; zero: it is not, or that is not clear. From when its oldest event is
// removed for its age it grows no more.
func eventsFull(of []usage, x control.StreamState, now time.Time) time.Time {
	perSecond, ok := rate(of, func(u usage) float64 { return u.events })
	if !ok || x.MaxBytes == 0 || x.Bytes*100/x.MaxBytes < purgedFrom {
		return time.Time{}
	}
	at := fullAt(now, float64(x.MaxBytes)-float64(x.Bytes), perSecond)
	if x.MaxAge > 0 && at.After(x.FirstTime.Add(x.MaxAge)) {
		return time.Time{}
	}
	return at
}

// diskFull is when the disk is full at the rate of the samples; zero: it is not, or that is not clear. room is what the streams may still
// use: on a disk that has as much free, they alone do not fill it.
func diskFull(of []usage, free, room uint64, now time.Time) time.Time {
	perSecond, ok := rate(of, func(u usage) float64 { return -u.free })
	if !ok {
		return time.Time{}
	}
	own, _ := line(of, func(u usage) float64 { return u.streams })
	if free >= room && perSecond < othersFrom*own {
		return time.Time{}
	}
	return fullAt(now, float64(free), perSecond)
}

// observe samples what is used until ctx ends. A look that fails is left out.
func (s *Reporter) observe(ctx context.Context) {
	for ctx.Err() == nil {
		if streams, err := control.New(s.Bus).StreamStates(ctx); err == nil {
			disk := s.disk(streams)
			u := usage{at: s.Bus.Now(), streams: float64(disk.GetUsedBytes()), free: float64(disk.GetFreeBytes())}
			for _, x := range streams {
				if x.Name == bus.StreamEvents {
					u.events = float64(x.Bytes)
				}
			}
			s.growth.add(u)
		}
		pause.For(ctx, sampleEvery)
	}
}

// fullNotice says that something is full soon; none if that is not to be expected within a week.
func fullNotice(what, remedy string, at, now time.Time) []string {
	left := at.Sub(now)
	if at.IsZero() || left > forecastNotice {
		return nil
	}
	return []string{fmt.Sprintf("%s is full in about %s at the rate of the last hours (%s): %s.", what, roughly(left),
		at.UTC().Format("2006-01-02 15:04 UTC"), remedy)}
}

// roughly is a duration in hours, or from two days on in days.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d.Round(day)/day)
	case d >= 90*time.Minute:
		return fmt.Sprintf("%d hours", d.Round(time.Hour)/time.Hour)
	default:
		return "an hour"
	}
}
