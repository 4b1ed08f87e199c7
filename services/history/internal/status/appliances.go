package status

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// LastEvent is the last event of an appliance.
type LastEvent struct {
	Appliance string
	Auth      settings.ApplianceAuth
	// Accepted is when the event was accepted. If none is known, Accepted is from when on none was: the log's beginning, or when the
	// appliance was added.
	Accepted time.Time
	Known    bool
}

// Silent reports whether the appliance has been silent for longer than it may.
func (e LastEvent) Silent(now time.Time) bool {
	return e.Auth.SilentAfter > 0 && !e.Accepted.IsZero() && now.Sub(e.Accepted) > e.Auth.SilentAfter
}

// Silence returns the silence since the event.
func (e LastEvent) Silence() health.Silence {
	return health.Silence{Appliance: e.Appliance, Name: e.Auth.DisplayName, Since: e.Accepted, Never: !e.Known, After: e.Auth.SilentAfter}
}

// LastEvents looks up the last event of each appliance that want selects, by id.
func (s *Reporter) LastEvents(
	ctx context.Context, set *settings.Settings, want func(settings.ApplianceAuth) bool,
) ([]LastEvent, error) {
	var out []LastEvent
	for id, auth := range set.Appliances {
		if want(auth) {
			out = append(out, LastEvent{Appliance: id, Auth: auth})
		}
	}
	slices.SortFunc(out, func(a, b LastEvent) int { return strings.Compare(a.Appliance, b.Appliance) })
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
			if out[i].Accepted, out[i].Known, err = s.Log.LastAccepted(looking, out[i].Appliance); err != nil || out[i].Known {
				return err
			}
			if out[i].Accepted = began; out[i].Auth.Created.After(began) {
				out[i].Accepted = out[i].Auth.Created
			}
			return nil
		})
	}
	return out, g.Wait()
}

// applianceStatuses are the states of all appliances, by id.
func (s *Reporter) applianceStatuses(ctx context.Context) ([]*outboundv1.ApplianceStatus, error) {
	all, err := s.LastEvents(ctx, s.Config.Settings(), func(settings.ApplianceAuth) bool { return true })
	if err != nil {
		return nil, err
	}
	now := s.Bus.Now()
	out := make([]*outboundv1.ApplianceStatus, 0, len(all))
	for _, e := range all {
		a := &outboundv1.ApplianceStatus{ApplianceId: e.Appliance, DisplayName: e.Auth.DisplayName, Silent: e.Silent(now)}
		if e.Known {
			a.LastEventTime = protofield.Timestamp(e.Accepted)
		}
		if e.Auth.SilentAfter > 0 {
			a.SilentAfter = durationpb.New(e.Auth.SilentAfter)
		}
		out = append(out, a)
	}
	return out, nil
}
