package delivery

import (
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/pushback"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// When a breaker opens.
const (
	// breakerUnreachable is how many attempts in a row must fail to connect. Nothing of one event can cause that.
	breakerUnreachable = 5
	// breakerSilent is how many different deliveries must have failed without an answer of the receiver's own since the last success,
	// breakerFailures how many must have failed in any way. Failures of one delivery count once: it may be the event that is at fault.
	breakerSilent   = 5
	breakerFailures = 20
	// breakerFirst is how many of these must have failed in their first attempt. Deliveries that are retried prove nothing about others:
	// they are those that fail anyway. One or two new ones may be of the same bad kind; that three are, and no good one came between, is
	// rare, and costs the others no more than the wait for the next probe.
	breakerFirst = 3
)

// cause is why a breaker is open.
type cause int

const (
	// causeUnreachable is that no connection comes about.
	causeUnreachable cause = iota + 1
	// causeFailing is that many different deliveries fail.
	causeFailing
)

// breaker keeps a recipient that fails all the time from being tried more than needed. Closed, it lets everything through. Open, it
// lets probes through, once per retry interval: one attempt if no connection comes about; else one of a delivery that was tried
// before and one of a delivery that was not, since those may fail by what they are. What somebody asked for is always let through.
// It closes at the first success.
type breaker struct {
	mu sync.Mutex
	// cause is why it is open; zero while it is closed.
	cause cause
	// since is when it opened.
	since time.Time
	// unconnected is how many attempts in a row did not connect.
	unconnected int
	failures    failures
	// last is the last failure.
	last Verdict
	// changed is signalled when a pause may end early.
	changed chan struct{}
	sweep   sweep
	// gate keeps to the pauses that the recipient asks for, whether it is open or closed.
	gate pushback.Gate
}

func newBreaker() *breaker {
	return &breaker{changed: make(chan struct{}, 1), failures: failures{of: map[uint64]failed{}}, sweep: sweep{wanted: map[uint64]struct{}{}}}
}

// attempted is an attempt and what came of it.
type attempted struct {
	candidate
	pass    pass
	outcome Outcome
	verdict Verdict
}

// note takes in an attempt. A Drop is an answer about one event, so it is no failure. It reports whether the breaker closed by it.
func (b *breaker) note(a attempted, interval time.Duration, now time.Time) (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.landed(a.pass)
	switch a.verdict.Kind {
	case Delivered:
		return b.close()
	case Retry:
		switch {
		case a.verdict.Pause > 0:
			b.pause(a, interval, now)
		case a.outcome.Accepted:
			return b.close()
		case a.verdict.Reason == reasons.PartlyDelivered:
			b.connected(now) // nothing new was taken, but what is left is one address of several
		default:
			b.fail(a, interval, now)
		}
	case Drop, Postpone:
		if a.outcome.Status != 0 {
			b.connected(now)
		}
		b.giveTurnBack(a.pass)
	default:
	}
	return false
}

// pause takes in that the recipient asks for a pause. It answers, so this is no failure of a recipient that can be reached.
func (b *breaker) pause(a attempted, interval time.Duration, now time.Time) {
	if b.cause != 0 {
		b.fail(a, interval, now)
	}
	b.connected(now)
	b.last = a.verdict
	b.sweep.end()
	b.sweep.probe = latestOf(b.sweep.probe, now.Add(pausedSweep))
}

// fail counts a failure.
func (b *breaker) fail(a attempted, interval time.Duration, now time.Time) {
	b.last = a.verdict
	was, kind := b.cause, failureOf(a.outcome)
	if kind == unconnected {
		b.unconnected++
	} else {
		b.connected(now)
	}
	if was == 0 {
		b.failures.note(a.sequence, failed{silent: kind != answered, first: a.fresh})
	}
	switch {
	case b.unconnected >= breakerUnreachable:
		b.cause = causeUnreachable
	case was == 0 && b.failures.many():
		b.cause = causeFailing
	}
	switch {
	case was == 0 && b.cause != 0:
		b.since = now
		b.sweep.end()
		b.sweep.probe = now.Add(interval)
	case b.cause == was && a.pass.probes():
		b.sweep.probe = latestOf(b.sweep.probe, now.Add(interval))
	}
}

// connected says that there is a connection: if there was none, the next probes are due at once, for the one that showed it may have
// failed by what it is.
func (b *breaker) connected(now time.Time) {
	b.unconnected = 0
	if b.cause == causeUnreachable {
		b.cause = causeFailing
		b.sweep.probe = now
		b.signal()
	}
}

// close closes it; false if it was.
func (b *breaker) close() bool {
	was := b.cause != 0
	b.cause, b.since, b.unconnected, b.last = 0, time.Time{}, 0, Verdict{}
	b.failures.forget()
	if was {
		b.sweep.end()
		clear(b.sweep.wanted)
		b.signal()
	}
	return was
}

// putBack is how a message leaves that may not be attempted for a time.
func (b *breaker) putBack(wait time.Duration) *leaving {
	v := Verdict{Kind: Postpone, Reason: reasons.Breaker, After: max(min(wait, maxDelay), minWait)}
	if b.gate.Rest(time.Now()) > 0 {
		v.Reason = reasons.RateLimit
	}
	return &leaving{putBack, result{verdict: v}}
}

func (b *breaker) signal() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// tell adds to a report whether it is open, since when, and when the next probe is due. now is the clock of the report.
func (b *breaker) tell(rep *Report, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rep.BreakerOpen = b.cause != 0; rep.BreakerOpen {
		rep.BreakerSince, rep.NextProbe = now.Add(-time.Since(b.since)), now.Add(time.Until(b.sweep.probe))
	}
}

// ends reports whether a delivery whose time is over ends without another attempt, and with which last failure: while it is open, and
// within a pause if there was an attempt before.
func (b *breaker) ends(tried bool, now time.Time) (last Verdict, ends bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.cause != 0 || tried && b.gate.Rest(now) > 0
}

// failures are the deliveries that failed since the last success.
type failures struct {
	of                           map[uint64]failed
	first, silent, firstOfSilent int
}

// failed is how a delivery failed: in its first attempt among others, and without an answer of the receiver's own when it failed last.
type failed struct{ first, silent bool }

func (f *failures) note(sequence uint64, now failed) {
	old := f.of[sequence]
	f.add(old, -1)
	now.first = now.first || old.first
	f.add(now, 1)
	f.of[sequence] = now
}

func (f *failures) add(x failed, n int) {
	if x.first {
		f.first += n
	}
	if x.silent {
		f.silent += n
	}
	if x.first && x.silent {
		f.firstOfSilent += n
	}
}

// many reports whether so many failed that it can't be for what they are.
func (f *failures) many() bool {
	return f.silent >= breakerSilent && f.firstOfSilent >= breakerFirst || len(f.of) >= breakerFailures && f.first >= breakerFirst
}

func (f *failures) forget() {
	if len(f.of) > 0 {
		*f = failures{of: map[uint64]failed{}}
	}
}

// failure says what an attempt that failed tells of others.
type failure int

const (
	// unconnected is one that nothing of an event can cause.
	unconnected failure = iota + 1
	// silent is one without an answer of the receiver's own: it hangs, or something before it answers that it is away.
	silent
	// answered is any other.
	answered
)

func failureOf(o Outcome) failure {
	switch o.Fault {
	case FaultDNS, FaultEgress, FaultConnect, FaultConnectTimeout, FaultTLS, FaultProxy, FaultAuth, FaultRelayUnset:
		return unconnected
	case FaultTimeout:
		return silent
	case FaultNone, FaultCut, FaultProtocol, FaultRender, FaultShutdown, FaultOverdue:
	default:
	}
	if o.Status >= 502 && o.Status <= 504 {
		return silent
	}
	return answered
}

// exhausted is the end of a delivery whose retry duration ended while the breaker was open.
func exhausted(d *Delivery, last Verdict) *Verdict {
	detail := string(last.Reason)
	if last.Detail != "" {
		detail = last.Detail
	}
	return &Verdict{Kind: Drop, Reason: reasons.Expired,
		Detail: fmt.Sprintf("not delivered within %s because the recipient kept failing; last error: %s", d.Recipient.Retry.Duration, detail)}
}

func latestOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
