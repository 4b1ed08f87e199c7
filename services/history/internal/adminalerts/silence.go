package adminalerts

import (
	"context"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
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
			if err := n.remove(ctx, control.MarkSilent+id); err != nil {
				return err
			}
		}
	}
	for _, e := range watched {
		m := alert{AlertState: marks[e.Appliance], name: control.MarkSilent + e.Appliance, revision: revisions[e.Appliance]}
		v, o := silenceOf(e, m, now)
		o.contacts = set.SMTP.AdminContacts
		if err := n.silence(ctx, m, v, o); err != nil {
			return err
		}
	}
	return nil
}

// silenceOf decides what is to be done about an appliance, and what the notice of it says.
func silenceOf(e status.LastEvent, m alert, now time.Time) (silenceVerdict, occurrence) {
	v, of := silenceDue(e, m, now)
	s := e.Silence()
	s.Since = health.ReadKey(of)
	o := occurrence{
		state:  health.AlertState{Of: of},
		notice: health.Notice{Kind: health.KindSilent, At: now, Thread: m.name + "/" + of, Silence: &s},
	}
	if v == notifyHeardAgain {
		o.state.Over, o.notice.Kind, s.Until = true, health.KindHeardAgain, e.Accepted
	}
	return v, o
}

// silence acts on the verdict on one appliance.
func (n *Notifier) silence(ctx context.Context, m alert, v silenceVerdict, o occurrence) error {
	switch v {
	case notifySilent, notifyHeardAgain:
		return n.notifyOnce(ctx, m, o)
	case forgetSilence:
		return n.remove(ctx, m.name)
	case leaveSilence:
		return nil
	default:
		return fmt.Errorf("appliance %s: unknown verdict %d", o.notice.Silence.Appliance, v)
	}
}
