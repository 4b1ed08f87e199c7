package adminalerts

import (
	"context"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// silenceVerdict is what is to be done about an appliance.
type silenceVerdict int

// The verdicts. The state is removed if a silence was notified and is none any more, for it may last longer now.
const (
	leaveSilence silenceVerdict = iota + 1
	notifySilent
	notifyHeardAgain
	forgetSilence
)

// silenceDue decides what is to be done about an appliance, by what was notified, and of which silence. An event that the log
// has dropped meanwhile makes no new silence.
func silenceDue(h status.LastEvent, m alert, now time.Time) (v silenceVerdict, of string) {
	same := m.Of != "" && (!h.Known || !h.Accepted.After(health.ReadKey(m.Of)))
	of = h.Silence().Key()
	if same {
		of = m.Of
	}
	switch silent := h.Silent(now); {
	case silent && m.unnotified(of, false, now):
		return notifySilent, of
	case silent || m.Of == "":
		return leaveSilence, of
	case same || m.Over && m.Notified || h.Auth.SilentAfter == 0:
		return forgetSilence, of
	case m.unnotified(m.Of, true, now):
		return notifyHeardAgain, m.Of
	default:
		return leaveSilence, of
	}
}

// silences notifies of appliances that have been silent for too long, once each silence, and once that they publish again.
func (n *Notifier) silences(ctx context.Context, now time.Time, set *settings.Settings) error {
	marks, revisions, err := n.health.SilentMarks(ctx)
	if err != nil {
		return err
	}
	watched, err := n.Status.LastEvents(ctx, set, func(a settings.ApplianceAuth) bool { return a.SilentAfter > 0 })
	if err != nil {
		return err
	}
	for id := range marks {
		if set.Appliances[id].SilentAfter == 0 {
			if err := n.remove(ctx, bus.MarkSilent+id); err != nil {
				return err
			}
		}
	}
	for _, h := range watched {
		m := alert{AlertState: marks[h.Appliance], name: bus.MarkSilent + h.Appliance, revision: revisions[h.Appliance]}
		if err := n.silence(ctx, now, h, m, set.SMTP.AdminContacts); err != nil {
			return err
		}
	}
	return nil
}

func (n *Notifier) silence(ctx context.Context, now time.Time, h status.LastEvent, m alert, contacts []string) error {
	v, of := silenceDue(h, m, now)
	s := h.Silence()
	s.Since = health.ReadKey(of)
	notice := health.Notice{At: now, Thread: m.name + "/" + of, Silence: &s}
	switch v {
	case notifySilent:
		notice.Kind = health.KindSilent
		return n.notifyOnce(ctx, m, health.AlertState{Of: of}, notice, contacts)
	case notifyHeardAgain:
		notice.Kind, s.Until = health.KindHeardAgain, h.Accepted
		return n.notifyOnce(ctx, m, health.AlertState{Of: of, Over: true}, notice, contacts)
	case forgetSilence:
		return n.remove(ctx, m.name)
	case leaveSilence:
		return nil
	default:
		return fmt.Errorf("appliance %s: there is no verdict %d", h.Appliance, v)
	}
}
