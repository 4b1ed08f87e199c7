package config

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// shownRecipients is what the watch streams of recipients show.
type shownRecipients struct {
	byID map[string]storedRecipient
	// load counts how often the recipients have been read, so that streams need not compare what is the same.
	load uint64
	// revision is the bucket's as of which they are complete.
	revision uint64
	// through is a sequence of EVENTS: each change that was answered before the event there was accepted is among them.
	through uint64
}

// bookmarkEvery is how often it is looked whether EVENTS has moved, if nobody asks.
const bookmarkEvery = time.Second

// bookmarkLoop moves the bookmark of the watch streams on, until ctx ends: one read for all streams, none while there are none.
func (s *Service) bookmarkLoop(ctx context.Context) {
	tick := time.NewTicker(bookmarkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.bookmarkAsked:
		case <-tick.C:
			if s.bookmarkStreams.Load() == 0 {
				continue
			}
		}
		// If the broker is away, no event is accepted either.
		_ = s.moveBookmark(ctx)
	}
}

// moveBookmark shows how recent the recipients are that are shown. If they are not up to date they are read again, which shows that too.
func (s *Service) moveBookmark(ctx context.Context) error {
	through, err := within(ctx, eventlog.New(s.bus).LastSequence)
	if now, _, _ := s.recipientSnapshot.read(); err != nil || now.through == through {
		return err
	}
	// This is read after the sequence: what is complete as of this revision holds each change that was answered before the event at that
	// sequence was accepted, for the write of the change came before its answer, and the event after it.
	revision, err := s.recipients.revision(ctx)
	if err != nil {
		return err
	}
	s.recipientSnapshot.update(func(now shownRecipients) (shownRecipients, bool) {
		if now.revision != revision {
			signal(s.recipients.dirty)
			return now, false
		}
		moved := now.through != through
		now.through = through
		return now, moved
	})
	return nil
}

// RequestBookmark implements outboundv1.RecipientServiceServer. Calls that come while the last ones are served are joined.
func (s recipientServer) RequestBookmark(context.Context, *outboundv1.RequestBookmarkRequest) (*outboundv1.RequestBookmarkResponse, error) {
	signal(s.bookmarkAsked)
	return &outboundv1.RequestBookmarkResponse{}, nil
}

// revision is the last revision of a bucket, of whatever key.
func (b *bucket) revision(ctx context.Context) (uint64, error) {
	return within(ctx, func(ctx context.Context) (uint64, error) {
		kv, err := b.open(ctx)
		if err != nil {
			return 0, err
		}
		return kv.Revision(ctx)
	})
}
