package watch

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/loop"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// recipientState is what the streams of recipients show.
type recipientState struct {
	byID map[string]store.Recipient
	// load counts how often the recipients have been read, so that streams need not compare what is the same.
	load uint64
	// revision is the bucket's as of which they are complete.
	revision uint64
	// through is a sequence of EVENTS: each change that was answered before the event there was accepted is among them.
	through uint64
}

// RecipientFeed streams the recipients, with bookmarks.
type RecipientFeed struct {
	bus  *bus.Conn
	feed *feed[recipientState]
	// bookmarkRequested is set when a watcher waits for a bookmark; bookmarkStreams counts the streams that get bookmarks.
	bookmarkRequested loop.Signal
	bookmarkStreams   atomic.Int64
}

// NewRecipientFeed returns a feed of the recipients.
func NewRecipientFeed(conn *bus.Conn, d Deps) *RecipientFeed {
	return &RecipientFeed{bus: conn, feed: newFeed[recipientState](d), bookmarkRequested: loop.NewSignal()}
}

// Run keeps the recipients and their bookmark up to date until ctx ends.
func (s *RecipientFeed) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.bookmarkLoop(ctx) })
	s.feed.run(ctx, s.load)
	wg.Wait()
}

// load reads all recipients. One goroutine calls it.
func (s *RecipientFeed) load(ctx context.Context) error {
	// The order counts. See moveBookmark.
	through, err := store.WithTimeout(ctx, eventlog.New(s.bus).LastSequence)
	if err != nil {
		return err
	}
	revision, err := s.feed.KV.Revision(ctx)
	if err != nil {
		return err
	}
	entries, err := s.feed.KV.List(ctx, store.PrefixRecipient)
	if err != nil {
		return err
	}
	last, _, _ := s.feed.state.load()
	state := recipientState{byID: make(map[string]store.Recipient, len(entries)), load: last.load + 1, revision: revision, through: through}
	for _, e := range entries {
		r, err := store.DecodeRecipient(e)
		if err != nil {
			// One that can't be read must not hide the others.
			s.feed.Logger.ErrorContext(ctx, "read of a recipient failed", telemetry.KeyError, err.Error())
			continue
		}
		r.Recipient.Etag = r.Etag()
		state.byID[r.ID()] = r
	}
	s.feed.state.store(state)
	return nil
}

// WatchRecipients implements outboundv1.RecipientServiceServer. It sends the difference between what this stream has sent and the latest
// state: a slow watcher misses steps, never the last one.
func (s *RecipientFeed) WatchRecipients(
	q *outboundv1.WatchRecipientsRequest, stream outboundv1.RecipientService_WatchRecipientsServer,
) error {
	if q.GetBookmarks() {
		s.bookmarkStreams.Add(1)
		defer s.bookmarkStreams.Add(-1)
	}
	w := &recipientStream{q: q, stream: stream, sent: map[string]uint64{}}
	for {
		state, ok, changed := s.feed.state.load()
		if ok {
			if err := w.send(state); err != nil {
				return err
			}
		}
		if err := s.feed.await(stream.Context(), changed); err != nil {
			return err
		}
	}
}
