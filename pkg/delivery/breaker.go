package delivery

import (
	"fmt"
	"sync"
	"time"
)

// When a breaker opens: after this many attempts in a row that did not reach the receiver, or failed in any way.
const (
	breakerUnreachable = 5
	breakerFailures    = 20
)

// breaker keeps a recipient that fails all the time from being tried more than needed. Closed, it lets everything through.
// Open, it lets one attempt through per retry interval, the probe; what has come to the end of its retry duration meanwhile
// is still taken and ends with the last error. It closes at the first success.
type breaker struct {
	mu          sync.Mutex
	unreachable int
	failures    int
	// opened is when it opened; zero while it is closed.
	opened time.Time
	// probe is when the next attempt may be made while it is open.
	probe time.Time
	// last is the last failure.
	last Verdict
	// changed is signalled when a pause may end early.
	changed chan struct{}
}

func newBreaker() *breaker { return &breaker{changed: make(chan struct{}, 1)} }

// note counts an attempt. Only a Retry is a failure: a Drop is an answer about one event.
func (b *breaker) note(o Outcome, v Verdict, interval time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch v.Kind {
	case Retry:
		b.failures++
		b.last = v
		if unreachable(o) {
			b.unreachable++
		} else {
			b.unreachable = 0
		}
		if b.opened.IsZero() && (b.unreachable >= breakerUnreachable || b.failures >= breakerFailures) {
			b.opened = now
		}
		b.probe = now.Add(interval)
	case Delivered:
		b.failures, b.unreachable, b.opened, b.probe, b.last = 0, 0, time.Time{}, time.Time{}, Verdict{}
		b.wake()
	case Drop, Postpone:
		b.probe = now
		b.wake()
	default:
	}
}

// spared says that the message let through as a probe was none: it ended or was put off without an attempt.
func (b *breaker) spared() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.opened.IsZero() {
		b.probe = time.Time{}
		b.wake()
	}
}

func (b *breaker) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// enter says how many messages may be taken now: all that are wanted while it is closed; while it is open none before the
// time of the probe, given as a wait, and then one.
func (b *breaker) enter(want int, interval time.Duration, now time.Time) (n int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened.IsZero() {
		return want, 0
	}
	if wait := b.probe.Sub(now); wait > 0 {
		return 0, wait
	}
	b.probe = now.Add(interval)
	return 1, 0
}

// open reports whether it is open, and with which last failure.
func (b *breaker) open() (last Verdict, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, !b.opened.IsZero()
}

// unreachable reports whether an attempt did not get as far as the receiver's own answer.
func unreachable(o Outcome) bool {
	switch o.Fault {
	case FaultDNS, FaultEgress, FaultConnect, FaultTLS, FaultTimeout, FaultProxy:
		return true
	case FaultNone, FaultCut, FaultProtocol, FaultAuth, FaultRender, FaultRelayUnset, FaultShutdown:
	default:
	}
	return o.Status >= 502 && o.Status <= 504
}

// exhausted is the end of a delivery whose retry duration ended while the breaker was open.
func exhausted(d *Delivery, last Verdict) *Verdict {
	detail := string(last.Reason)
	if last.Detail != "" {
		detail = last.Detail
	}
	return &Verdict{Kind: Drop, Reason: ReasonExpired, Detail: fmt.Sprintf("not delivered within %s: the recipient was failing all the time; last: %s", d.Recipient.Retry.Duration, detail)}
}
