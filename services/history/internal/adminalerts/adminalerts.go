// Package adminalerts notifies the admin contacts by mail.
package adminalerts

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// Deps are what a notifier needs, all required.
type Deps struct {
	Bus    *bus.Conn
	Config *configclient.Client
	Status *status.Reporter
	// Tick is the pause between two checks.
	Tick   time.Duration
	Logger *slog.Logger
}

// Notifier notifies the admin contacts of what no sender sees: the daily report, silent appliances, a stream that fills. It runs in each
// replica. The state of each alert, in the bucket of statuses and changed by compare-and-set, lets one of them notify.
type Notifier struct {
	Deps
	health *control.HealthStore
	// last is the last error, logged once.
	last string
}

// New makes a notifier.
func New(deps Deps) *Notifier { return &Notifier{Deps: deps, health: control.NewHealthStore(deps.Bus)} }

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
		n.check(ctx, n.Bus.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check notifies of all that is due.
func (n *Notifier) check(ctx context.Context, now time.Time) {
	set := n.Config.Settings()
	if len(set.SMTP.AdminContacts) == 0 {
		return
	}
	text := ""
	if err := errors.Join(n.daily(ctx, now, set), n.silences(ctx, now, set), n.filling(ctx, now, set)); err != nil {
		text = err.Error()
	}
	if text != "" && text != n.last && ctx.Err() == nil {
		n.Logger.Warn("admin alert not queued, retrying", telemetry.KeyError, text)
	}
	n.last = text
}
