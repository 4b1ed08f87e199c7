package emailsender

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/emailsender/internal/relay"
)

const (
	// freshEnough is how long a status that stays the same is not written again.
	freshEnough = 10 * time.Second
	// statusWait bounds one look at the status, or one change of it.
	statusWait = 5 * time.Second
	// probeReserve is the time for storing the result of a claimed probe, in addition to its attempt.
	probeReserve = 5 * time.Second
)

// relayHealth is how the relay did last, as mails and probes of this process saw it.
type relayHealth struct {
	mu sync.Mutex
	// last is not stored yet if it is not nil.
	last *health.RelayAttempts
	// accepted reports that an email was accepted since the last store.
	accepted bool
	relay    relay.Relay
	// leaf is the certificate that the relay leafOf presented last.
	leaf   *x509.Certificate
	leafOf relay.Relay
	// news receives a value when the relay does otherwise than before.
	news chan struct{}
	line string
	// now is the clock that all senders share.
	now func() time.Time
}

func newRelayHealth(now func() time.Time) *relayHealth {
	return &relayHealth{news: make(chan struct{}, 1), now: now}
}

// saw notes how the relay did. See relay.PoolOptions.
func (s *relayHealth) saw(r relay.Relay, f *relay.Failure, accepted bool) {
	line := health.RelayOK
	if f != nil {
		line = f.Line(r)
	}
	s.mu.Lock()
	s.accepted = s.accepted || accepted
	s.last = &health.RelayAttempts{At: s.now(), Line: line, Accepted: s.accepted}
	if f == nil && s.leaf != nil && s.leafOf == r {
		s.last.Certificate = health.CertificateOf(s.leaf, "", s.last.At)
	}
	s.relay = r
	other := line != s.line
	s.line = line
	s.mu.Unlock()
	if !other {
		return
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// presented notes the certificate of a relay. See relay.PoolOptions.
func (s *relayHealth) presented(r relay.Relay, leaf *x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaf, s.leafOf = leaf, r
}

// trouble is what is wrong with a relay, as far as this process saw it last; empty if nothing is.
func (s *relayHealth) trouble(r relay.Relay) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.relay != r || s.line == health.RelayOK {
		return ""
	}
	return s.line
}

// take returns and clears the result to store, if there is one.
func (s *relayHealth) take() (seen health.RelayAttempts, of relay.Relay, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return seen, of, false
	}
	seen, of = *s.last, s.relay
	s.last, s.accepted = nil, false
	return seen, of, true
}

// giveBack keeps a result that could not be stored, unless there is a newer one.
func (s *relayHealth) giveBack(seen health.RelayAttempts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = s.accepted || seen.Accepted
	if s.last == nil {
		s.last = &seen
	} else {
		s.last.Accepted = s.accepted
	}
}

// relayMonitor keeps the relay's status, together with the other senders: from the results of emails or, without emails, from
// a probe by one of the senders.
type relayMonitor struct {
	s     *Service
	store *control.HealthStore
	// written is what was last written or found here.
	written health.Relay
	// changed receives a value when the settings change.
	changed chan struct{}
}

// watchRelay keeps the relay's status until ctx ends or stop is called, which stores the last result.
func (s *Service) watchRelay(ctx context.Context) (stop func()) {
	k := &relayMonitor{s: s, store: control.NewHealthStore(s.deps.Bus), changed: make(chan struct{}, 1)}
	s.deps.Config.OnChange(func() {
		select {
		case k.changed <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { k.run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func (k *relayMonitor) run(ctx context.Context) {
	tick := time.NewTicker(k.s.o.StatusTick)
	defer tick.Stop()
	var wg sync.WaitGroup
	var probing *relayProbe
	for ctx.Err() == nil {
		k.write(ctx)
		if probing != nil && probing.etag != k.s.send.settings.Settings().SMTP.Etag {
			probing.stop()
		}
		if probing == nil {
			if probing = k.due(ctx); probing != nil {
				wg.Go(probing.run)
			}
		}
		select {
		case <-ctx.Done():
		case <-probing.ended():
			probing = nil
		case <-k.changed:
		case <-k.s.relayHealth.news:
		case <-tick.C:
		}
	}
	wg.Wait()
	last, cancel := k.s.deps.Bus.WithoutCancel(ctx)
	defer cancel()
	k.write(last)
}

// relayProbe is a probe under way, of some settings.
type relayProbe struct {
	etag string
	run  func()
	stop context.CancelFunc
	end  chan struct{}
}

// ended is closed at the end of a probe, if there is one.
func (p *relayProbe) ended() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.end
}

// write writes what was seen since the last time. What says nothing new is written now and then alone.
func (k *relayMonitor) write(ctx context.Context) {
	seen, of, ok := k.s.relayHealth.take()
	smtp := k.s.send.settings.Settings().SMTP
	if !ok || of != relay.Of(smtp, k.s.send.hello) {
		return // of a relay that is not the one of the settings any more
	}
	seen.Etag = smtp.Etag
	if seen.Line == k.written.Line && seen.Etag == k.written.Etag && seen.At.Sub(k.written.Checked) < freshEnough &&
		(!seen.Accepted || seen.At.Sub(k.written.Accepted) < freshEnough) {
		k.s.relayHealth.giveBack(seen)
		return
	}
	err := k.change(ctx, func(r health.Relay) (health.Relay, bool) { return r.Seen(seen), true })
	if err != nil {
		k.s.relayHealth.giveBack(seen)
		k.s.deps.Logger.Debug("SMTP relay status not stored, retrying", telemetry.KeyError, err.Error())
	}
}

// change changes the status by compare-and-set, again and again while others are faster. f may decline.
func (k *relayMonitor) change(ctx context.Context, f func(health.Relay) (health.Relay, bool)) error {
	ctx, cancel := context.WithTimeout(ctx, statusWait)
	defer cancel()
	for {
		r, revision, err := k.store.Relay(ctx)
		if err != nil {
			return err
		}
		next, do := f(r)
		if k.written = r; !do {
			return nil
		}
		err = k.store.PutRelay(ctx, next, revision)
		switch {
		case err == nil:
			if r.Line != next.Line {
				k.s.deps.Logger.Info("SMTP relay status changed", logkey.Was, r.Line, logkey.Is, next.Line)
			}
			k.written = next
			return nil
		case !errors.Is(err, health.ErrConflict) || ctx.Err() != nil:
			return err
		}
	}
}

// due claims a probe of the relay, if it is time and none of the other senders does, and returns it; else nil. A probe takes as long as
// the relay does, so what is seen meanwhile, as that it hangs, is written beside it; one of settings that have changed ends at once.
func (k *relayMonitor) due(ctx context.Context) *relayProbe {
	smtp := k.s.send.settings.Settings().SMTP
	now := k.s.deps.Bus.Now()
	if smtp.Host == "" || !k.written.ProbeDue(now, k.s.o.ProbeEvery, smtp.Etag) {
		return nil
	}
	mine, most := false, probeTimeout
	if t := k.s.o.Timeout; t > 0 {
		most = min(most, t)
	}
	err := k.change(ctx, func(r health.Relay) (health.Relay, bool) {
		mine = r.ProbeDue(now, k.s.o.ProbeEvery, smtp.Etag)
		return r.Claimed(smtp.Etag, now.Add(most+probeReserve)), mine
	})
	if err != nil || !mine {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, most)
	p := &relayProbe{etag: smtp.Etag, stop: stop, end: make(chan struct{})}
	p.run = func() {
		defer close(p.end)
		defer stop()
		// While mails are in flight on all connections there is no probe, and they will show the status.
		_ = k.s.send.pool.Probe(ctx, relay.Of(smtp, k.s.send.hello))
	}
	return p
}
