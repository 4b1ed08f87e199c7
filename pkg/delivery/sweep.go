package delivery

import (
	"math/rand/v2"
	"time"
)

// How far a recipient's queue is looked through while its breaker is open.
const (
	// maxMet is how many messages are looked at for one probe: about as many as can be out.
	maxMet = 3_000
	// maxPassed is how many messages that wait for their first attempt are passed over to reach one that was asked for. Each that is
	// passed is looked at again for every probe.
	maxPassed = 1_000
	// delayFresh is how long one that was never tried is put back: until the queue is looked through, which ends with a request that
	// nothing comes for. It is not taken before the next probe then, but by a sender whose breaker is closed.
	delayFresh = pullWait + time.Second
	// delayEach is how much longer a message is put back for each that was met before it in the same sweep, so that a long queue and a
	// short retry interval make no more than 500 looks a second.
	delayEach = 2 * time.Millisecond
	// pausedSweep is the interval at which a queue is looked through within a pause, for what ends in it without an attempt.
	pausedSweep = 5 * time.Second
)

// sweep is how a queue is looked through while its breaker is open: what is due is taken, attempted if it has a turn, and else put
// back until the next probe. Messages that come again are handed out before those that never were.
type sweep struct {
	// on says that messages are to be taken.
	on bool
	// probe is when the next probes may be made.
	probe time.Time
	// tried and fresh are the turns that are left: of a delivery that was tried before, and of one that was not.
	tried, fresh bool
	// probing is how many probes are under way.
	probing int
	// met is how many messages this sweep has met, lastMet how many the one before. passed is how many waited for their first attempt
	// and had no turn.
	met, lastMet, passed int
	// wanted are messages that somebody asked for, by their sequences, and that have not come yet. looking says that the queue is
	// looked through for all of them, looked at how many messages so far.
	wanted  map[uint64]struct{}
	looking bool
	looked  int
}

// begin gives the turns of a probe.
func (s *sweep) begin(probe time.Time) {
	s.end()
	s.on, s.tried, s.fresh = true, true, true
	s.probe, s.met, s.passed = probe, 0, 0
}

func (s *sweep) end() {
	if s.on {
		s.lastMet = s.met
	}
	s.on, s.tried, s.fresh = false, false, false
}

// candidate is a message whose attempt is due.
type candidate struct {
	sequence uint64
	// fresh says that its delivery was never tried, by the log.
	fresh bool
	// handed says that the queue has handed it out before.
	handed bool
	// asked says that somebody asked for this attempt.
	asked bool
}

// pass is what lets an attempt through.
type pass int

const (
	// passFree is that the breaker is closed, or the attempt was asked for.
	passFree pass = iota + 1
	// passTried and passFresh are turns of a probe.
	passTried
	passFresh
	// passAsked is that the attempt was asked for within a pause.
	passAsked
)

func (p pass) probes() bool { return p == passTried || p == passFresh }

// enter says how many messages may be taken now: all that are wanted while it is closed; while it is open none before the time of
// the next probe, given as a wait. What is taken while it is open must be decided before more is.
func (b *breaker) enter(width int, interval time.Duration, now time.Time) (n int, wait time.Duration, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.sweep
	rest := b.gate.Rest(now)
	if b.cause == 0 && rest == 0 {
		return width, 0, false
	}
	if rest > 0 {
		interval = pausedSweep
	}
	if s.probing == 0 && !now.Before(s.probe) {
		s.begin(now.Add(interval))
	}
	if rest > 0 {
		s.tried, s.fresh = false, false
	}
	switch {
	case len(s.wanted) > 0:
		s.looking = true
		return width, 0, true
	case !s.on && s.probing > 0:
		return 0, max(s.probe.Sub(now), interval), true
	case !s.on && rest > 0:
		return 0, min(s.probe.Sub(now), rest), true
	case !s.on:
		return 0, s.probe.Sub(now), true
	case b.cause == causeUnreachable:
		return 1, 0, true
	default:
		// No more than will come again, by the last sweep, so that few are taken only to be put back.
		return max(1, min(width, s.lastMet-s.met)), 0, true
	}
}

// swept says how many of the messages that were asked for have come, all of which are decided. It reports whether that was all.
func (b *breaker) swept(asked, came int) (over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.sweep
	s.met += came
	if s.looking {
		s.looked += came
		if came < asked || s.passed >= maxPassed || s.looked >= maxMet {
			clear(s.wanted)
			s.looking, s.looked = false, 0
		}
	}
	if !s.fresh && (came < asked || s.passed > 0) || s.met >= maxMet {
		s.end()
	}
	return !s.on
}

// admit lets an attempt through, or says how long its message is to wait; then the pass is zero.
func (b *breaker) admit(c candidate, interval time.Duration, now time.Time) (p pass, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.sweep
	_, wanted := s.wanted[c.sequence]
	delete(s.wanted, c.sequence)
	rest := b.gate.Rest(now)
	switch {
	case rest > 0 && (c.asked || wanted):
		return passAsked, 0
	case rest > 0:
		if !c.handed {
			s.passed++
		}
		return 0, rest
	case b.cause == 0 || c.asked || wanted:
		return passFree, 0
	}
	switch {
	case c.fresh && s.fresh:
		p, s.fresh = passFresh, false
	case !c.fresh && s.tried:
		p, s.tried = passTried, false
	default:
		if !c.handed {
			s.passed++
		}
		left := delayFresh
		if !c.fresh { // it comes a bit before the next probe, but is not taken until then
			left = s.probe.Sub(now)
			left -= time.Duration(float64(left) * maxJitter * rand.Float64())
		}
		return 0, max(left, time.Duration(s.met+s.looked)*delayEach)
	}
	s.probing++
	s.probe = now.Add(interval)
	if b.cause == causeUnreachable {
		s.end()
	}
	return p, 0
}

// landed ends a probe that was under way.
func (b *breaker) landed(p pass) {
	if p.probes() {
		b.sweep.probing--
		b.signal()
	}
}

// giveTurnBack has another message take the turn.
func (b *breaker) giveTurnBack(p pass) {
	if b.cause == 0 || !p.probes() {
		return
	}
	s := &b.sweep
	either := b.cause == causeUnreachable
	s.on = true
	s.tried, s.fresh = s.tried || either || p == passTried, s.fresh || either || p == passFresh
	b.signal()
}

// releaseProbe says that an attempt that was let through did not take place.
func (b *breaker) releaseProbe(p pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.landed(p)
	b.giveTurnBack(p)
}

// hasten has the next probes made at once. It reports whether the breaker is open or the recipient paused.
func (b *breaker) hasten(interval time.Duration, now time.Time) (open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause == 0 && b.gate.Rest(now) == 0 {
		return false
	}
	b.sweep.begin(now.Add(interval))
	b.signal()
	return true
}

// want has messages looked for at once, and attempted. It reports whether the breaker is open or the recipient paused; if not, they
// need not be looked for.
func (b *breaker) want(sequences []uint64, now time.Time) (open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause == 0 && b.gate.Rest(now) == 0 {
		return false
	}
	b.sweep.demand(sequences)
	b.signal()
	return true
}

// demand has messages looked for in any case.
func (b *breaker) demand(sequences []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep.demand(sequences)
	b.signal()
}

func (s *sweep) demand(sequences []uint64) {
	if len(s.wanted) == 0 {
		s.passed = 0
	}
	s.looking, s.looked = false, 0
	for _, seq := range sequences {
		s.wanted[seq] = struct{}{}
	}
}

// look reports whether messages are to be looked for, and begins to.
func (b *breaker) look() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep.looking = len(b.sweep.wanted) > 0
	return b.sweep.looking
}

// pass notes that a message was met that is not attempted.
func (b *breaker) pass(c candidate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sweep.wanted, c.sequence)
	if !c.handed {
		b.sweep.passed++
	}
}

// wants reports whether a message is looked for.
func (b *breaker) wants(sequence uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.sweep.wanted[sequence]
	return ok
}
