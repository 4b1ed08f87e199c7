package watch

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// SettingsFeed streams the settings.
type SettingsFeed struct {
	feed     *feed[*outboundv1.WatchSettingsResponse]
	read     func(context.Context) (*outboundv1.WatchSettingsResponse, error)
	watching func(q *outboundv1.WatchSettingsRequest) (done func())
	// loading keeps a reading from replacing a later one.
	loading sync.Mutex
}

// NewSettingsFeed returns a feed of the settings. read returns all of them; watching is called for each watcher, and done when it has gone.
func NewSettingsFeed(
	d Deps, read func(context.Context) (*outboundv1.WatchSettingsResponse, error),
	watching func(*outboundv1.WatchSettingsRequest) (done func()),
) *SettingsFeed {
	return &SettingsFeed{feed: newFeed[*outboundv1.WatchSettingsResponse](d), read: read, watching: watching}
}

// Run keeps the settings up to date until ctx ends.
func (s *SettingsFeed) Run(ctx context.Context) { s.feed.run(ctx, s.load) }

// Latest returns the settings as they were last read, nil before the first time. They must not be changed.
func (s *SettingsFeed) Latest() *outboundv1.WatchSettingsResponse {
	state, _, _ := s.feed.state.load()
	return state
}

// Current returns the settings as they were last read, nil before the first time, and what is closed at the next change.
func (s *SettingsFeed) Current() (*outboundv1.WatchSettingsResponse, <-chan struct{}) {
	state, _, changed := s.feed.state.load()
	return state, changed
}

func (s *SettingsFeed) load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	state, err := s.read(ctx)
	if err != nil {
		return err
	}
	if before, ok, _ := s.feed.state.load(); !ok || !proto.Equal(before, state) {
		s.feed.state.store(state)
	}
	return nil
}

// firstRead bounds how long a watch waits for what is stored now.
const firstRead = 2 * time.Second

func (s *SettingsFeed) freshen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstRead)
	defer cancel()
	if err := s.load(ctx); err != nil {
		s.feed.Logger.WarnContext(ctx, "read of the settings failed, a watch begins with those that were read last",
			telemetry.KeyError, err.Error())
	}
}

// WatchSettings implements outboundv1.SettingsServiceServer. It begins with what is stored now, so that who has changed something sees it;
// if that can't be read, with what was read last.
func (s *SettingsFeed) WatchSettings(q *outboundv1.WatchSettingsRequest, stream outboundv1.SettingsService_WatchSettingsServer) error {
	defer s.watching(q)()
	var sent *outboundv1.WatchSettingsResponse
	s.freshen(stream.Context())
	for {
		state, ok, changed := s.feed.state.load()
		if ok && state != sent {
			if err := stream.Send(state); err != nil {
				return err
			}
			sent = state
		}
		if err := s.feed.await(stream.Context(), changed); err != nil {
			return err
		}
	}
}
