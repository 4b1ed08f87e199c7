package watch

import (
	"context"

	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// SettingsFeed streams the settings.
type SettingsFeed struct {
	feed *feed[*outboundv1.WatchSettingsResponse]
	read func(context.Context) (*outboundv1.WatchSettingsResponse, error)
}

// NewSettingsFeed returns a feed of the settings. read returns all of them.
func NewSettingsFeed(d Deps, read func(context.Context) (*outboundv1.WatchSettingsResponse, error)) *SettingsFeed {
	return &SettingsFeed{feed: newFeed[*outboundv1.WatchSettingsResponse](d), read: read}
}

// Run keeps the settings up to date until ctx ends.
func (s *SettingsFeed) Run(ctx context.Context) { s.feed.run(ctx, s.load) }

// Latest returns the settings as they were last read, nil before the first time. They must not be changed.
func (s *SettingsFeed) Latest() *outboundv1.WatchSettingsResponse {
	state, _, _ := s.feed.state.load()
	return state
}

func (s *SettingsFeed) load(ctx context.Context) error {
	state, err := s.read(ctx)
	if err != nil {
		return err
	}
	if before, ok, _ := s.feed.state.load(); !ok || !proto.Equal(before, state) {
		s.feed.state.store(state)
	}
	return nil
}

// WatchSettings implements outboundv1.SettingsServiceServer.
func (s *SettingsFeed) WatchSettings(_ *outboundv1.WatchSettingsRequest, stream outboundv1.SettingsService_WatchSettingsServer) error {
	var sent *outboundv1.WatchSettingsResponse
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
