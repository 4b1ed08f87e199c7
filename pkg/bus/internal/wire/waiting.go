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
	said  time.Time
	begun bool
}

func newWaiting(c *Conn) *waiting { return &waiting{tell: c.options.Waiting} }

// say says what is waited for and why it is not there.
func (w *waiting) say(what string, err error) {
	w.begun = true
	if w.tell != nil {
		w.tell(fmt.Sprintf("waiting for %s: %v", what, err))
	}
	if time.Since(w.said) > sayEvery {
		w.said = time.Now()
		slog.Info("waiting for the broker", logkey.Of, what, telemetry.KeyError, err.Error())
	}
}

// end says that nothing is waited for any more.
func (w *waiting) end() {
	if w.begun && w.tell != nil {
		w.tell("")
	}
}

// attemptTimeout bounds one attempt of what is waited for.
const attemptTimeout = 5 * time.Second

// await repeats f until it succeeds, fails for good, or ctx ends.
func (w *waiting) await(ctx context.Context, what string, f func(context.Context) error) error {
	for {
		one, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := f(one)
		cancel()
		if err == nil || !Temporary(err) && !errors.Is(err, errNoPeers) {
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
