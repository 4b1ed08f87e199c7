package watch

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// bookmarkEvery is how often the bookmark is moved while no watcher asks for it.
const bookmarkEvery = time.Second

// bookmarkLoop moves the bookmark of the streams, until ctx ends: one read for all streams, none while there are none.
func (s *RecipientFeed) bookmarkLoop(ctx context.Context) {
	tick := time.NewTicker(bookmarkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.bookmarkRequested:
		case <-tick.C:
			if s.bookmarkStreams.Load() == 0 {
				continue
			}
		}
		// If the broker is away, no event is accepted either.
		_ = s.moveBookmark(ctx)
	}
}

// moveBookmark sets how recent the recipients in memory are. If they are not up to date, they are read again, which sets that too.
func (s *RecipientFeed) moveBookmark(ctx context.Context) error {
	through, err := store.WithTimeout(ctx, eventlog.New(s.bus).LastSequence)
	if now, _, _ := s.feed.state.load(); err != nil || now.through == through {
		return err
	}
	// This is read after the sequence: what is complete as of this revision holds each change that was answered before the event at that
	// sequence was accepted, because the write of the change came before its answer, and the event after it.
	revision, err := s.feed.KV.Revision(ctx)
	if err != nil {
		return err
	}
	s.feed.state.update(func(now recipientState) (recipientState, bool) {
		if now.revision != revision {
			s.feed.KV.Dirty().Set()
			return now, false
		}
		moved := now.through != through
		now.through = through
		return now, moved
	})
	return nil
}

// RequestBookmark implements outboundv1.RecipientServiceServer. Calls that come while the last ones are served are joined.
func (s *RecipientFeed) RequestBookmark(context.Context, *outboundv1.RequestBookmarkRequest) (*outboundv1.RequestBookmarkResponse, error) {
	s.bookmarkRequested.Set()
	return &outboundv1.RequestBookmarkResponse{}, nil
}
