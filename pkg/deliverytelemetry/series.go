package deliverytelemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// who is a recipient on its channel.
type who struct {
	id      string
	channel recipient.Channel
}

// what came of an attempt.
type what struct {
	verdict delivery.VerdictKind
	reason  reasons.Reason
}

// series are the metrics of one recipient, or of all that share them. Looking them up here is cheaper than in the registry.
type series struct {
	o        *Observer
	label    string
	channel  recipient.Channel
	inFlight telemetry.Level
	latency  telemetry.Times
	// used is when they were last asked for, in seconds of Unix time.
	used atomic.Int64
	// running counts the attempts that run.
	running atomic.Int64

	mu     sync.RWMutex
	timers map[what]telemetry.Times
	counts map[what]telemetry.Count
}

func (o *Observer) newSeries(label string, channel recipient.Channel) *series {
	return &series{o: o, label: label, channel: channel, inFlight: o.inFlight.With(label, string(channel)),
		latency: o.latency.With(label, string(channel)), timers: map[what]telemetry.Times{}, counts: map[what]telemetry.Count{}}
}

func (s *series) labels(w what) []string {
	return []string{s.label, string(s.channel), verdict(w.verdict), string(w.reason)}
}

func (s *series) timer(w what) telemetry.Times {
	s.mu.RLock()
	t, ok := s.timers[w]
	s.mu.RUnlock()
	if !ok {
		t = s.o.attempts.With(s.labels(w)...)
		s.mu.Lock()
		s.timers[w] = t
		s.mu.Unlock()
	}
	return t
}

func (s *series) count(w what) telemetry.Count {
	s.mu.RLock()
	c, ok := s.counts[w]
	s.mu.RUnlock()
	if !ok {
		c = s.o.ended.With(s.labels(w)...)
		s.mu.Lock()
		s.counts[w] = c
		s.mu.Unlock()
	}
	return c
}

const (
	// idleAfter is how long a recipient must have had no attempt before another may take its place among those with series of their own.
	idleAfter = time.Hour
	// sweepEvery is the least pause between two looks for such recipients.
	sweepEvery = time.Minute
)

// of returns the series of a recipient: its own, unless as many recipients as may have theirs have been in use within the hour.
func (o *Observer) of(id string, channel recipient.Channel) *series {
	w, now := who{id, channel}, o.now()
	o.mu.RLock()
	s := o.by[w]
	if s == nil && len(o.by) >= o.t.MaxSeries && now.Before(o.sweep) {
		s = o.others[channel]
	}
	o.mu.RUnlock()
	if s == nil {
		s = o.admit(w, now)
	}
	s.used.Store(now.Unix())
	return s
}

// admit makes the series of a recipient, or returns those that it shares.
func (o *Observer) admit(w who, now time.Time) *series {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.by[w]; s != nil {
		return s
	}
	if len(o.by) >= o.t.MaxSeries && !now.Before(o.sweep) {
		o.dropIdle(now)
		o.sweep = now.Add(sweepEvery)
	}
	if len(o.by) < o.t.MaxSeries {
		s := o.newSeries(w.id, w.channel)
		o.by[w] = s
		return s
	}
	s := o.others[w.channel]
	if s == nil {
		s = o.newSeries(telemetry.OtherSeries, w.channel)
		o.others[w.channel] = s
	}
	return s
}

// dropIdle forgets the series of recipients without attempts. If one comes back, its counters begin at 0 again, as after a restart.
func (o *Observer) dropIdle(now time.Time) {
	for w, s := range o.by {
		if now.Unix()-s.used.Load() < int64(idleAfter/time.Second) || s.running.Load() > 0 {
			continue
		}
		delete(o.by, w)
		o.attempts.Drop(telemetry.KeyRecipient, w.id)
		o.ended.Drop(telemetry.KeyRecipient, w.id)
		o.inFlight.Drop(telemetry.KeyRecipient, w.id)
		o.latency.Drop(telemetry.KeyRecipient, w.id)
	}
}

// seriesKey is the context key of the series that Begin took, so that End counts where Begin did.
type seriesKey struct{}

func (o *Observer) seriesIn(ctx context.Context, r delivery.Report) *series {
	if s, ok := ctx.Value(seriesKey{}).(*series); ok {
		return s
	}
	return o.of(r.Delivery.Recipient.ID, r.Channel)
}
