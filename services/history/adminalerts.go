package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
)

// claimFor is how long a process may take from setting out to tell something until it has told it. Then another one does, with the
// same ids, so that what was told already is not told twice.
const claimFor = 30 * time.Second

// adminAlerts has the admin alert queued of what no sender sees: the day, silent appliances, a stream that fills. It runs in each
// replica; a mark in the bucket of statuses, changed by compare-and-set, lets one of them tell each thing once.
type adminAlerts struct {
	s      *Service
	health *bus.HealthStore
	// last is the last error, told once.
	last string
}

// run looks at what is due until ctx ends.
func (c *adminAlerts) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-c.s.Config.Ready():
	}
	tick := time.NewTicker(c.s.o.AlertTick)
	defer tick.Stop()
	for {
		c.look(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look sees to all that may be due.
func (c *adminAlerts) look(ctx context.Context, now time.Time) {
	settings := c.s.Config.Settings()
	if len(settings.SMTP.AdminContacts) == 0 {
		return
	}
	text := ""
	if err := errors.Join(c.daily(ctx, now, settings), c.silences(ctx, now, settings), c.filling(ctx, now, settings)); err != nil {
		text = err.Error()
	}
	if text != "" && text != c.last && ctx.Err() == nil {
		slog.Warn("admin alert not queued, retrying", "error", text)
	}
	c.last = text
}

// marked is a mark where it stands.
type marked struct {
	health.AlertState
	name     string
	revision uint64
}

func (c *adminAlerts) marked(ctx context.Context, name string) (marked, error) {
	m, revision, err := c.health.Mark(ctx, name)
	return marked{AlertState: m, name: name, revision: revision}, err
}

// unnotified reports whether an occurrence is still to be told: nobody set out to, or who did has died.
func (m marked) unnotified(of string, over bool, now time.Time) bool {
	if m.Of != of || m.Over != over {
		return true
	}
	return !m.Notified && now.Sub(m.At) > claimFor
}

// once has the admin alert queued of an occurrence, unless another process does.
func (c *adminAlerts) once(ctx context.Context, m marked, to health.AlertState, n health.Notice, contacts []string) error {
	to.At, to.Notified = n.At, false
	revision, err := c.health.PutMark(ctx, m.name, to, m.revision)
	if errors.Is(err, health.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	n.Admin = true
	mail := string(n.Kind) + "/" + m.name + "/" + to.Of
	for _, address := range contacts {
		n.To, n.ID = address, health.IDFor(mail, address)
		if err := c.health.Notify(ctx, n); err != nil {
			return err
		}
	}
	slog.Info("admin alert queued", "kind", string(n.Kind), "of", m.name, "addresses", len(contacts))
	to.Notified = true
	if _, err := c.health.PutMark(ctx, m.name, to, revision); !errors.Is(err, health.ErrConflict) {
		return err
	}
	return nil
}

// remove forgets a mark, so that the next occurrence is told.
func (c *adminAlerts) remove(ctx context.Context, name string) error {
	m, err := c.marked(ctx, name)
	if err != nil || m.revision == 0 {
		return err
	}
	if err := c.health.RemoveMark(ctx, name, m.revision); !errors.Is(err, health.ErrConflict) {
		return err
	}
	return nil
}

// The shares of EVENTS at which its filling is told, and its room again, in percent.
const (
	fillingFrom       = fullFrom
	storageFreedBelow = 70
)

// longestQueues is how many queues are told of a stream that fills.
const longestQueues = 5

// filling tells that EVENTS fills, once until it has room again.
func (c *adminAlerts) filling(ctx context.Context, now time.Time, settings *settings.Settings) error {
	f, err := c.eventsFilling(ctx)
	if err != nil {
		return err
	}
	m, err := c.marked(ctx, bus.MarkFilling)
	if err != nil {
		return err
	}
	n := health.Notice{At: now, Thread: bus.MarkFilling, Filling: &f}
	switch of := m.Of; {
	case f.Percent() >= fillingFrom && (of == "" || m.Over || m.unnotified(of, false, now)):
		if of == "" || m.Over {
			of = now.UTC().Format(time.RFC3339Nano)
		}
		status, err := (&statusServer{s: c.s}).status(ctx)
		if err != nil {
			return err
		}
		f.Longest = longest(status)
		n.Kind = health.KindStorage
		return c.once(ctx, m, health.AlertState{Of: of}, n, settings.SMTP.AdminContacts)
	case of == "" || f.Percent() >= storageFreedBelow:
		return nil
	case m.Over && m.Notified:
		return c.remove(ctx, m.name)
	case m.unnotified(of, true, now):
		n.Kind = health.KindStorageFreed
		return c.once(ctx, m, health.AlertState{Of: of, Over: true}, n, settings.SMTP.AdminContacts)
	default:
		return nil
	}
}

func (c *adminAlerts) eventsFilling(ctx context.Context) (health.StorageUse, error) {
	streams, err := c.s.Bus.StreamStates(ctx)
	if err != nil {
		return health.StorageUse{}, err
	}
	for _, x := range streams {
		if x.Name == bus.StreamEvents {
			return health.StorageUse{Stream: x.Name, Bytes: x.Bytes, MaxBytes: x.MaxBytes}, nil
		}
	}
	return health.StorageUse{}, fmt.Errorf("check the stream %s: it does not exist", bus.StreamEvents)
}
