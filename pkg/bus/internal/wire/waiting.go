package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// waiting says what the start of a process waits for: in the log every few seconds, and to who asks whether the process is ready.
type waiting struct {
	tell  func(string)
	log   *slog.Logger
	said  time.Time
	begun bool
}

func newWaiting(c *Conn) *waiting { return &waiting{tell: c.options.Waiting, log: c.Logger} }

// say says what is waited for and why it is not there.
func (w *waiting) say(what string, err error) {
	w.begun = true
	if w.tell != nil {
		w.tell(fmt.Sprintf("waiting for %s: %v", what, err))
	}
	if time.Since(w.said) > sayEvery {
		w.said = time.Now()
		w.log.Info("waiting for the broker", logkey.Of, what, telemetry.KeyError, err.Error())
	}
}

// end says that nothing is waited for any more.
func (w *waiting) end() {
	if w.begun && w.tell != nil {
		w.tell("")
	}
}

// Await repeats f, which bounds its own requests, until it succeeds, fails for good, or ctx ends. Whoever asks whether the process is ready
// learns what it waits for.
func Await(ctx context.Context, c *Conn, what string, f func(context.Context) error) error {
	w := newWaiting(c)
	defer w.end()
	return w.repeat(ctx, what, f)
}

// attemptTimeout bounds one attempt of what is waited for.
const attemptTimeout = 5 * time.Second

// await repeats f, in attempts of 5 s, until it succeeds, fails for good, or ctx ends.
func (w *waiting) await(ctx context.Context, what string, f func(context.Context) error) error {
	return w.repeat(ctx, what, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		return f(ctx)
	})
}

func (w *waiting) repeat(ctx context.Context, what string, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil || !temporary(err) && !errors.Is(err, errNoPeers) {
			return err
		}
		w.say(what, err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", ctx.Err(), err)
		case <-time.After(connectPause):
		}
	}
}
