package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// clockEvery is the pause between two measurements of the broker's clock, clockSoon the one while there is none yet.
	clockEvery = 2 * time.Second
	clockSoon  = 100 * time.Millisecond
	// clockAnswer is how long one measurement may take.
	clockAnswer = 2 * time.Second
	// clockSamples is how many exchanges a measurement that shows something new consists of; the one with the least error counts.
	clockSamples = 5
	// clockSame is how far two clocks may be apart, beside the error of the measurement, and count as the same: clocks that are set by NTP in
	// one network are. Times do not jitter then.
	clockSame = 10 * time.Millisecond
	// clockDrift is how far the broker's clock may run away from this host's monotonic one before it is followed.
	clockDrift = 20 * time.Millisecond
)

// clock is the broker's clock as far as this process knows it: the time of the broker at one moment, and this host's monotonic clock
// since. A step of the host's wall clock therefore changes nothing; a step of the broker's is seen by the next measurement. Before the
// first measurement it is the host's wall clock.
type clock struct {
	// wall is the host's wall clock.
	wall func() time.Time
	// began is where monotonic time is counted from.
	began time.Time

	mu sync.RWMutex
	// measured says that the rest is set. broker is what the broker's clock showed when at had passed since began.
	measured bool
	broker   time.Time
	at       time.Duration
}

func newClock(wall func() time.Time) *clock {
	if wall == nil {
		wall = time.Now
	}
	return &clock{wall: wall, began: time.Now()}
}

// elapsed is monotonic time since began, moment the time that it stands for on the host's clock.
func (c *clock) elapsed() time.Duration                 { return time.Since(c.began) }
func (c *clock) moment(elapsed time.Duration) time.Time { return c.began.Add(elapsed) }

// sample is one exchange with the broker: what its clock showed at some moment between two others.
type sample struct {
	stamp time.Time
	// asked and answered are monotonic, since clock.began. wall is what the host's wall clock showed at answered.
	asked, answered time.Duration
	wall            time.Time
}

// middle is the moment that the stamp is taken to be of, bound by how much it may be off.
func (s sample) middle() time.Duration { return s.asked + s.bound() }
func (s sample) bound() time.Duration  { return (s.answered - s.asked) / 2 }

// apart is how far the stamp is from what a clock shows that showed t at some moment.
func (s sample) apart(t time.Time, at time.Duration) time.Duration {
	return t.Add(s.middle() - at).Sub(s.stamp).Abs()
}

// now is the broker's time, without a monotonic reading: subtract it from other times of the broker alone.
func (c *clock) now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.measured {
		return c.wall().Round(0)
	}
	return c.broker.Add(c.elapsed() - c.at)
}

// offset is how far the host's wall clock is ahead of the broker's; 0 before the first measurement.
func (c *clock) offset() time.Duration {
	c.mu.RLock()
	measured := c.measured
	c.mu.RUnlock()
	if !measured {
		return 0
	}
	return c.wall().Round(0).Sub(c.now())
}

// consistent reports whether a sample says nothing that is not known.
func (c *clock) consistent(s sample) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.measured && s.apart(c.broker, c.at) <= s.bound()+clockDrift
}

// set takes a sample over. If it can't tell the broker's clock from the host's, they are taken to be the same. One that says nothing new
// changes nothing else.
func (c *clock) set(s sample) {
	known := c.consistent(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := s.wall.Round(0)
	switch {
	case s.apart(wall, s.answered) <= s.bound()+clockSame && (!known || c.broker.Add(s.answered-c.at).Sub(wall).Abs() <= clockDrift):
		c.broker, c.at = wall, s.answered
	case !known:
		c.broker, c.at = s.stamp.In(wall.Location()), s.middle()
	}
	c.measured = true
}

// errNoStreams says that the broker has no streams yet, and so nothing that its time would matter to.
var errNoStreams = errors.New("the broker has no stream " + names.StreamEvents + " yet")

// askClock makes one exchange with the broker: the answer about a stream has the time of the server that stamps its messages.
func askClock(ctx context.Context, c *Conn) (s sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, clockAnswer)
	defer cancel()
	s.asked = c.clock.elapsed()
	m, err := c.NC.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+names.StreamEvents, nil)
	s.answered, s.wall = c.clock.elapsed(), c.clock.wall()
	if err != nil {
		return s, fmt.Errorf("read the broker's clock: %w", err)
	}
	var answer struct {
		Time  time.Time `json:"ts"`
		Error *struct {
			Code        jetstream.ErrorCode `json:"err_code"`
			Description string              `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return s, fmt.Errorf("read the broker's clock: %w", err)
	}
	switch {
	case answer.Error != nil && answer.Error.Code == jetstream.JSErrCodeStreamNotFound:
		return s, errNoStreams
	case answer.Error != nil:
		return s, fmt.Errorf("read the broker's clock: the broker responded: %s", answer.Error.Description)
	case answer.Time.IsZero():
		return s, errors.New("read the broker's clock: the response has no time")
	}
	s.stamp = answer.Time
	return s, nil
}

// MeasureClock compares the host's clock with the broker's: once if that shows nothing new, else several times.
func (c *Conn) MeasureClock(ctx context.Context) error {
	best, err := askClock(ctx, c)
	if err != nil {
		return err
	}
	if !c.clock.consistent(best) {
		for range clockSamples - 1 {
			s, err := askClock(ctx, c)
			if err != nil {
				return err
			}
			if s.bound() < best.bound() {
				best = s
			}
		}
	}
	c.clock.set(best)
	return nil
}

// firstMeasure measures before anything goes by the clock. A broker that does not answer, or has no streams yet, is asked again later.
func firstMeasure(ctx context.Context, c *Conn) {
	ctx, cancel := context.WithTimeout(ctx, clockAnswer)
	defer cancel()
	if !c.clock.known() {
		_ = c.MeasureClock(ctx)
	}
}

// AwaitClock returns once the broker's clock is known, or ctx ends.
func (c *Conn) AwaitClock(ctx context.Context) error {
	said := ""
	for {
		if c.clock.known() {
			return nil
		}
		err := c.MeasureClock(ctx)
		if err != nil && err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			c.Logger.Info("waiting for the broker's clock", telemetry.KeyError, said)
		}
		if err != nil && !pause.For(ctx, clockSoon) {
			return err
		}
	}
}

func (c *clock) known() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.measured
}

// keepClock measures every clockEvery, and when again is signalled, until ctx ends.
func keepClock(ctx context.Context, c *Conn) {
	for ctx.Err() == nil {
		wait := clockEvery
		if c.NC.IsConnected() {
			// Trouble with the broker is logged elsewhere; what is known stays.
			_ = c.MeasureClock(ctx)
		}
		if !c.clock.known() {
			wait = clockSoon
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-c.measure:
		}
		t.Stop()
	}
}

// measureSoon has the broker's clock measured at once.
func measureSoon(c *Conn) {
	select {
	case c.measure <- struct{}{}:
	default:
	}
}

// Now is the broker's time: the one that messages, records and keys are stamped by. Whatever is compared with such a time, or is read
// by other processes, goes by it. It has no monotonic reading; measure durations with time.Now.
func (c *Conn) Now() time.Time { return c.clock.now() }

// ClockOffset is how far this host's clock is ahead of the broker's. It is negative if it is behind, and 0 until the broker's clock
// was measured.
func (c *Conn) ClockOffset() time.Duration { return c.clock.offset() }

// Stamp is the broker's time, read from the broker by this call: what was stored in EVENTS before the call has an earlier time, and what is
// stored after it a later one, whatever is known of its clock. If it can't be read it is Now.
func (c *Conn) Stamp(ctx context.Context) time.Time {
	s, err := askClock(ctx, c)
	if err != nil {
		return c.Now()
	}
	return s.stamp
}
