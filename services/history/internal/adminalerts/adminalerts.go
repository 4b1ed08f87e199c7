// Package adminalerts notifies the admin contacts by mail.
package adminalerts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// claimFor is how long a process may take to notify once it has claimed an alert. After that another process notifies, with the same
// notice ids, so that no notice is sent twice.
const claimFor = 30 * time.Second

// Deps are what a notifier needs, all required.
type Deps struct {
	Bus    *bus.Conn
	Config *configclient.Client
	Status *status.Reporter
	// Tick is the pause between two checks.
	Tick time.Duration
}

// Notifier notifies the admin contacts of what no sender sees: the daily report, silent appliances, a stream that fills. It runs in each
// replica. The state of each alert, in the bucket of statuses and changed by compare-and-set, lets one of them notify.
type Notifier struct {
	Deps
	health *bus.HealthStore
	// last is the last error, logged once.
	last string
}

// New makes a notifier.
func New(deps Deps) *Notifier { return &Notifier{Deps: deps, health: bus.NewHealthStore(deps.Bus)} }

// Run notifies of what is due until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-n.Config.Ready():
	}
	tick := time.NewTicker(n.Tick)
	defer tick.Stop()
	for {
		n.check(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check notifies of all that is due.
func (n *Notifier) check(ctx context.Context, now time.Time) {
	settings := n.Config.Settings()
	if len(settings.SMTP.AdminContacts) == 0 {
		return
	}
	text := ""
	if err := errors.Join(n.daily(ctx, now, settings), n.silences(ctx, now, settings), n.filling(ctx, now, settings)); err != nil {
		text = err.Error()
	}
	if text != "" && text != n.last && ctx.Err() == nil {
		slog.Warn("admin contacts can't be told, trying again", "error", text)
	}
	n.last = text
}

// alert is the stored state of an alert.
type alert struct {
	health.AlertState
	name     string
	revision uint64
}

func (n *Notifier) load(ctx context.Context, name string) (alert, error) {
	m, revision, err := n.health.Mark(ctx, name)
	return alert{AlertState: m, name: name, revision: revision}, err
}

// unnotified reports whether nobody has notified of an occurrence: no process claimed it, or the one that did has died.
func (m alert) unnotified(of string, over bool, now time.Time) bool {
	if m.Of != of || m.Over != over {
		return true
	}
	return !m.Notified && now.Sub(m.At) > claimFor
}

// notifyOnce notifies the admin contacts of an occurrence, unless another process does.
func (n *Notifier) notifyOnce(ctx context.Context, m alert, to health.AlertState, notice health.Notice, contacts []string) error {
	to.At, to.Notified = notice.At, false
	revision, err := n.health.PutMark(ctx, m.name, to, m.revision)
	if errors.Is(err, health.ErrConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	notice.Admin = true
	mail := string(notice.Kind) + "/" + m.name + "/" + to.Of
	for _, address := range contacts {
		notice.To, notice.ID = address, health.IDFor(mail, address)
		if err := n.health.Notify(ctx, notice); err != nil {
			return err
		}
	}
	slog.Info("admin contacts told", "kind", string(notice.Kind), "of", m.name, "addresses", len(contacts))
	to.Notified = true
	if _, err := n.health.PutMark(ctx, m.name, to, revision); !errors.Is(err, health.ErrConflict) {
		return err
	}
	return nil
}

// remove removes the state of an alert, so that the next occurrence is notified.
func (n *Notifier) remove(ctx context.Context, name string) error {
	m, err := n.load(ctx, name)
	if err != nil || m.revision == 0 {
		return err
	}
	if err := n.health.RemoveMark(ctx, name, m.revision); !errors.Is(err, health.ErrConflict) {
		return err
	}
	return nil
}

// The shares of EVENTS in percent from which it fills, and below which it has room again.
const (
	fillingFrom       = status.FullFrom
	storageFreedBelow = 70
)

// longestQueues is how many queues a notice of a stream that fills lists.
const longestQueues = 5

// filling notifies that EVENTS fills, once until it has room again.
func (n *Notifier) filling(ctx context.Context, now time.Time, settings *settings.Settings) error {
	f, err := n.eventsFilling(ctx)
	if err != nil {
		return err
	}
	m, err := n.load(ctx, bus.MarkFilling)
	if err != nil {
		return err
	}
	notice := health.Notice{At: now, Thread: bus.MarkFilling, Filling: &f}
	switch of := m.Of; {
	case f.Percent() >= fillingFrom && (of == "" || m.Over || m.unnotified(of, false, now)):
		if of == "" || m.Over {
			of = now.UTC().Format(time.RFC3339Nano)
		}
		all, err := n.Status.Status(ctx, "")
		if err != nil {
			return err
		}
		f.Longest = longest(all)
		notice.Kind = health.KindStorage
		return n.notifyOnce(ctx, m, health.AlertState{Of: of}, notice, settings.SMTP.AdminContacts)
	case of == "" || f.Percent() >= storageFreedBelow:
		return nil
	case m.Over && m.Notified:
		return n.remove(ctx, m.name)
	case m.unnotified(of, true, now):
		notice.Kind = health.KindStorageFreed
		return n.notifyOnce(ctx, m, health.AlertState{Of: of, Over: true}, notice, settings.SMTP.AdminContacts)
	default:
		return nil
	}
}

func (n *Notifier) eventsFilling(ctx context.Context) (health.StorageUse, error) {
	streams, err := n.Bus.StreamStates(ctx)
	if err != nil {
		return health.StorageUse{}, err
	}
	for _, x := range streams {
		if x.Name == bus.StreamEvents {
			return health.StorageUse{Stream: x.Name, Bytes: x.Bytes, MaxBytes: x.MaxBytes}, nil
		}
	}
	return health.StorageUse{}, fmt.Errorf("look at the stream %s: it is not among those there are", bus.StreamEvents)
}
