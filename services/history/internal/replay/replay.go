// Package replay sends deliveries and stored events again: many at once, at a rate, in the background.
package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Deps are what a replayer needs, all required.
type Deps struct {
	Bus       *bus.Conn
	Log       *deliverylog.Log
	Publisher *bus.Publisher
	Config    *configclient.Client
	Filters   *filter.Cache
	// MaxScan is how many records a preview looks at, at most.
	MaxScan int
	Logger  *slog.Logger
}

// Replayer stores replays and runs them.
type Replayer struct {
	Deps
	store *store
	// created signals that a replay was created in this process.
	created chan struct{}
}

// New makes a replayer.
func New(deps Deps) *Replayer {
	return &Replayer{Deps: deps, store: &store{bus: deps.Bus}, created: make(chan struct{}, 1)}
}

// Preview counts what a replay would send, as far as one call can.
func (s *Replayer) Preview(ctx context.Context, asked *outboundv1.Replay) (*outboundv1.PreviewReplayResponse, error) {
	j, err := s.newJob(ctx, asked)
	if err != nil {
		return nil, err
	}
	resp, err := s.preview(ctx, j)
	if err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("the replay could not be counted: %v", err))
	}
	return resp, nil
}

// Create stores a replay. A process that runs replays takes it up.
func (s *Replayer) Create(ctx context.Context, asked *outboundv1.Replay) (*outboundv1.Replay, error) {
	j, err := s.newJob(ctx, asked)
	if err != nil {
		return nil, err
	}
	if err := s.store.add(ctx, j); err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("the replay could not be stored: %v", err))
	}
	select {
	case s.created <- struct{}{}:
	default:
	}
	return j.replay, nil
}

// Get returns one replay.
func (s *Replayer) Get(ctx context.Context, id string) (*outboundv1.Replay, error) {
	j, err := s.store.update(ctx, id, func(*job) bool { return false })
	return replayOr(j, id, err)
}

// List returns all replays, newest first.
func (s *Replayer) List(ctx context.Context) ([]*outboundv1.Replay, error) {
	all, err := s.store.all(ctx)
	if err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("the replays can't be read: %v", err))
	}
	out := make([]*outboundv1.Replay, 0, len(all))
	for _, j := range slices.Backward(all) {
		out = append(out, j.replay)
	}
	return out, nil
}

func replayOr(j *job, id string, err error) (*outboundv1.Replay, error) {
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return nil, rpc.NotFound("replay", id)
	case err != nil:
		return nil, rpc.Unavailable(fmt.Sprintf("replay %s can't be read or changed: %v", id, err))
	default:
		return j.replay, nil
	}
}
