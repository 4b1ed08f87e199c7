package ingest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/ingest/internal/fair"
)

// reasonRateLimited is the reason of what is refused because its sender publishes too much.
const reasonRateLimited = "RATE_LIMITED"

// leastBytesPerSecond lets the largest event through once in four seconds.
const leastBytesPerSecond = 64 << 10

// limits is how much each appliance may publish.
type limits struct {
	o     Options
	deps  Deps
	meter *fair.Meter

	mu sync.Mutex
	// refused are the events of each appliance that were refused since the last look, answers the refusals that were made before: a
	// flood is to cost little.
	refused map[string]int
	answers map[refusal]*answered
}

// refusal is what decides an answer.
type refusal struct {
	limit fair.Limit
	wait  time.Duration
}

// answered is a refusal as an error, and its JSON.
type answered struct {
	status *status.Status
	json   []byte
}

// Error implements error.
func (a *answered) Error() string { return a.status.Err().Error() }

// GRPCStatus is what package status asks errors for.
func (a *answered) GRPCStatus() *status.Status { return a.status }

func newLimits(o Options, deps Deps) *limits {
	return &limits{o: o, deps: deps, meter: fair.NewMeter(), refused: map[string]int{}, answers: map[refusal]*answered{}}
}

// of is the limit of a sender of whom an appliance is known, or the one of all that are none.
func (l *limits) of(s submission) (name string, limit fair.Limit) {
	limit = fair.Limit{EventsPerSecond: l.o.EventsPerSecond, BytesPerSecond: int64(l.o.BytesPerSecond)}
	known, ok := l.deps.Config.Settings().Appliances[s.appliance]
	switch {
	case ok:
		return s.appliance, limitOf(known, limit)
	case s.caller != "":
		return s.sender(), limit
	default:
		return "", limit
	}
}

// limitOf is an appliance's limit: its own, else the default.
func limitOf(a settings.ApplianceAuth, limit fair.Limit) fair.Limit {
	if a.MaxEventsPerSecond > 0 {
		limit.EventsPerSecond = a.MaxEventsPerSecond
	}
	if a.MaxBytesPerSecond > 0 {
		limit.BytesPerSecond = int64(a.MaxBytesPerSecond)
	}
	return limit
}

// waitStep is what waits are rounded up to, so that few different answers are made.
const waitStep = 100 * time.Millisecond

// take counts an event of its sender, or returns why it is refused.
func (l *limits) take(s submission, now time.Time) error {
	name, limit := l.of(s)
	wait := l.meter.Take(name, limit, len(s.raw), now)
	if wait == 0 {
		return nil
	}
	if name == s.appliance {
		l.deps.Observer.Limited(name)
	} else {
		l.deps.Observer.Limited("")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[name]++
	return l.answer(refusal{limit, (wait + waitStep - 1).Truncate(waitStep)})
}

// answer finds or makes a refusal. mu is held.
func (l *limits) answer(r refusal) *answered {
	a := l.answers[r]
	if a == nil {
		text := "the limit of " + inWords(r.limit) + " is exceeded: keep this event and retry later"
		a = &answered{status: status.Convert(rpc.Limited(reasonRateLimited, text, r.wait))}
		a.json = encode(a.status.Proto())
		l.answers[r] = a
	}
	return a
}

func inWords(l fair.Limit) string {
	events, bytes := fmt.Sprintf("%d events a second", l.EventsPerSecond), fmt.Sprintf("%d bytes a second", l.BytesPerSecond)
	switch {
	case l.BytesPerSecond == 0:
		return events
	case l.EventsPerSecond == 0:
		return bytes
	default:
		return events + " and " + bytes
	}
}

// lookEvery is how often the notices are brought up to date. One ends after a minute without a refusal.
const (
	lookEvery  = time.Second
	noticeEnds = time.Minute
)

// run says which appliances exceed their limits, until ctx ends.
func (l *limits) run(ctx context.Context) {
	said := map[string]time.Time{}
	for pause.For(ctx, lookEvery) {
		l.look(said, time.Now())
	}
	for name := range said {
		l.deps.Notices.Clear(noticeKey(name))
	}
}

func (l *limits) look(said map[string]time.Time, now time.Time) {
	for name := range l.drain() {
		if said[name].IsZero() {
			// The number is in the metric: a notice that changes each second is read by nobody.
			l.deps.Notices.Set(noticeKey(name), l.notice(name))
		}
		said[name] = now
	}
	for name, last := range said {
		if now.Sub(last) > noticeEnds {
			l.deps.Notices.Clear(noticeKey(name))
			delete(said, name)
		}
	}
	known := l.deps.Config.Settings().Appliances
	l.meter.Keep(func(name string) bool { _, ok := known[name]; return ok || len(known) == 0 || name == "" })
}

// drain gives the refusals since the last call, and forgets the answers.
func (l *limits) drain() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.refused
	l.refused, l.answers = map[string]int{}, map[refusal]*answered{}
	return out
}

func noticeKey(name string) string { return "intake limit of " + name }

func (l *limits) notice(name string) string {
	_, limit := l.of(submission{appliance: name})
	who, remedy := "a sender that is not a known appliance", "raise the options eventsPerSecond and bytesPerSecond of ingest"
	if name != "" {
		who = name
	}
	if _, ok := l.deps.Config.Settings().Appliances[name]; ok {
		who = "appliance " + name
		remedy = "run outbound appliances set " + name + " --max-events-per-second N --max-bytes-per-second N"
	}
	return fmt.Sprintf("%s exceeds the limit of %s: its events above it are refused; if that many are expected, %s", who, inWords(limit),
		remedy)
}
