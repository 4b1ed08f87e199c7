package history

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// heard is when an appliance was last heard.
type heard struct {
	id   string
	auth settings.ApplianceAuth
	// at is when its last event was accepted. If none is known, at is from when on none was: the log's beginning, or when the
	// appliance was added.
	at    time.Time
	known bool
}

// silent reports whether it has been silent for longer than it may.
func (h heard) silent(now time.Time) bool {
	return h.auth.SilentAfter > 0 && !h.at.IsZero() && now.Sub(h.at) > h.auth.SilentAfter
}

func (h heard) silence() health.Silence {
	return health.Silence{Appliance: h.id, Name: h.auth.DisplayName, Since: h.at, Never: !h.known, After: h.auth.SilentAfter}
}

// heardAll looks at when each appliance was last heard, by id.
func (s *Service) heardAll(ctx context.Context, settings *settings.Settings, want func(settings.ApplianceAuth) bool) ([]heard, error) {
	var out []heard
	for id, auth := range settings.Appliances {
		if want(auth) {
			out = append(out, heard{id: id, auth: auth})
		}
	}
	slices.SortFunc(out, func(a, b heard) int { return strings.Compare(a.id, b.id) })
	if len(out) == 0 {
		return nil, nil
	}
	began, err := s.Log.Began(ctx)
	if err != nil {
		return nil, err
	}
	g, looking := errgroup.WithContext(ctx)
	g.SetLimit(s.o.Lookups)
	for i := range out {
		g.Go(func() error {
			var err error
			if out[i].at, out[i].known, err = s.Log.LastAccepted(looking, out[i].id); err != nil || out[i].known {
				return err
			}
			if out[i].at = began; out[i].auth.Created.After(began) {
				out[i].at = out[i].auth.Created
			}
			return nil
		})
	}
	return out, g.Wait()
}

// applianceStatuses are the states of all appliances, by id.
func (s *Service) applianceStatuses(ctx context.Context) ([]*outboundv1.ApplianceStatus, error) {
	all, err := s.heardAll(ctx, s.Config.Settings(), func(settings.ApplianceAuth) bool { return true })
	if err != nil {
		return nil, err
	}
	now := time.Now()
	out := make([]*outboundv1.ApplianceStatus, 0, len(all))
	for _, h := range all {
		a := &outboundv1.ApplianceStatus{ApplianceId: h.id, DisplayName: h.auth.DisplayName, Silent: h.silent(now)}
		if h.known {
			a.LastEventTime = timestamp(h.at)
		}
		if h.auth.SilentAfter > 0 {
			a.SilentAfter = durationpb.New(h.auth.SilentAfter)
		}
		out = append(out, a)
	}
	return out, nil
}

// silenceVerdict is what is to be done about an appliance.
type silenceVerdict int

// The verdicts. A mark is forgotten if the silence was told of but is none any more, for it may last longer now.
const (
	leaveSilence silenceVerdict = iota + 1
	notifySilent
	notifyHeardAgain
	forgetSilence
)

// silenceDue says what is to be done about an appliance, by what was told of it, and of which silence. An event that the log
// has dropped meanwhile makes no new silence.
func silenceDue(h heard, m marked, now time.Time) (v silenceVerdict, of string) {
	same := m.Of != "" && (!h.known || !h.at.After(health.ReadKey(m.Of)))
	of = h.silence().Key()
	if same {
		of = m.Of
	}
	switch silent := h.silent(now); {
	case silent && m.unnotified(of, false, now):
		return notifySilent, of
	case silent || m.Of == "":
		return leaveSilence, of
	case same || m.Over && m.Notified || h.auth.SilentAfter == 0:
		return forgetSilence, of
	case m.unnotified(m.Of, true, now):
		return notifyHeardAgain, m.Of
	default:
		return leaveSilence, of
	}
}

// silences tells of appliances that have been silent for too long, once each silence, and once that they publish again.
func (c *adminAlerts) silences(ctx context.Context, now time.Time, set *settings.Settings) error {
	marks, revisions, err := c.health.SilentMarks(ctx)
	if err != nil {
		return err
	}
	watched, err := c.s.heardAll(ctx, set, func(a settings.ApplianceAuth) bool { return a.SilentAfter > 0 })
	if err != nil {
		return err
	}
	for id := range marks {
		if set.Appliances[id].SilentAfter == 0 {
			if err := c.remove(ctx, bus.MarkSilent+id); err != nil {
				return err
			}
		}
	}
	for _, h := range watched {
		m := marked{AlertState: marks[h.id], name: bus.MarkSilent + h.id, revision: revisions[h.id]}
		if err := c.silence(ctx, now, h, m, set.SMTP.AdminContacts); err != nil {
			return err
		}
	}
	return nil
}

func (c *adminAlerts) silence(ctx context.Context, now time.Time, h heard, m marked, contacts []string) error {
	v, of := silenceDue(h, m, now)
	s := h.silence()
	s.Since = health.ReadKey(of)
	n := health.Notice{At: now, Thread: m.name + "/" + of, Silence: &s}
	switch v {
	case notifySilent:
		n.Kind = health.KindSilent
		return c.once(ctx, m, health.AlertState{Of: of}, n, contacts)
	case notifyHeardAgain:
		n.Kind, s.Until = health.KindHeardAgain, h.at
		return c.once(ctx, m, health.AlertState{Of: of, Over: true}, n, contacts)
	case forgetSilence:
		return c.remove(ctx, m.name)
	case leaveSilence:
		return nil
	default:
		return fmt.Errorf("appliance %s: unknown verdict %d", h.id, v)
	}
}
