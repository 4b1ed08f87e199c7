package config

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// loadRecipients reads all recipients and shows them to the watch streams. One goroutine calls it.
func (s *Service) loadRecipients(ctx context.Context) error {
	// The order counts. See moveBookmark.
	through, err := within(ctx, s.bus.LastSequence)
	if err != nil {
		return err
	}
	revision, err := s.recipients.revision(ctx)
	if err != nil {
		return err
	}
	entries, err := s.recipients.all(ctx, prefixRecipient)
	if err != nil {
		return err
	}
	last, _, _ := s.recipientSnapshot.read()
	state := shownRecipients{byID: make(map[string]storedRecipient, len(entries)), load: last.load + 1, revision: revision, through: through}
	for _, e := range entries {
		r, err := decodeStored(e)
		if err != nil {
			// One that can't be read must not hide the others.
			s.log.ErrorContext(ctx, "read of a recipient failed", "error", err.Error())
			continue
		}
		r.Recipient.Etag = r.etag()
		state.byID[r.id()] = r
	}
	s.recipientSnapshot.show(state)
	return nil
}

func (s *Service) loadSettings(ctx context.Context) error {
	state, err := s.allSettings(ctx)
	if err != nil {
		return err
	}
	if before, ok, _ := s.settingsSnapshot.read(); !ok || !proto.Equal(before, state) {
		s.settingsSnapshot.show(state)
	}
	return nil
}

// WatchRecipients implements outboundv1.RecipientServiceServer. What is sent is the difference between what this stream has
// sent and what is there: a slow watcher misses steps, never the last one.
func (s recipientServer) WatchRecipients(q *outboundv1.WatchRecipientsRequest, stream outboundv1.RecipientService_WatchRecipientsServer) error {
	if q.GetBookmarks() {
		s.bookmarkStreams.Add(1)
		defer s.bookmarkStreams.Add(-1)
	}
	w := &recipientWatch{q: q, stream: stream, sent: map[string]uint64{}}
	for {
		state, ok, changed := s.recipientSnapshot.read()
		if ok {
			if err := w.send(state); err != nil {
				return err
			}
		}
		if err := s.await(stream.Context(), changed); err != nil {
			return err
		}
	}
}

// recipientWatch is one stream and what it has sent.
type recipientWatch struct {
	q      *outboundv1.WatchRecipientsRequest
	stream outboundv1.RecipientService_WatchRecipientsServer
	sent   map[string]uint64
	synced bool
	// load and through are of the state that was sent last.
	load, through uint64
}

// send tells a stream what it does not know: changes first, then how recent they are.
func (w *recipientWatch) send(state shownRecipients) error {
	if !w.synced || state.load != w.load {
		if err := w.changes(state.byID); err != nil {
			return err
		}
	}
	if w.q.GetBookmarks() && (!w.synced || state.through != w.through) {
		mark := &outboundv1.Bookmark{CompleteThrough: state.through}
		m := &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Bookmark{Bookmark: mark}}
		if err := w.stream.Send(m); err != nil {
			return err
		}
	}
	if !w.synced {
		m := &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Synced{Synced: &emptypb.Empty{}}}
		if err := w.stream.Send(m); err != nil {
			return err
		}
	}
	w.synced, w.load, w.through = true, state.load, state.through
	return nil
}

func (w *recipientWatch) changes(state map[string]storedRecipient) error {
	for id := range w.sent {
		if _, ok := state[id]; ok {
			continue
		}
		m := &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Removed{Removed: id}}
		if err := w.stream.Send(m); err != nil {
			return err
		}
		delete(w.sent, id)
	}
	for id, r := range state {
		if !watched(w.q.GetChannel(), channel(r)) || w.sent[id] == r.kv {
			continue
		}
		m := &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Recipient{Recipient: r.StoredRecipient}}
		if err := w.stream.Send(m); err != nil {
			return err
		}
		w.sent[id] = r.kv
	}
	return nil
}

func watched(want outboundv1.WatchRecipientsRequest_Channel, is recipient.Channel) bool {
	switch want {
	case outboundv1.WatchRecipientsRequest_CHANNEL_HTTP:
		return is == recipient.HTTP
	case outboundv1.WatchRecipientsRequest_CHANNEL_EMAIL:
		return is == recipient.Email
	default:
		return true
	}
}

// WatchSettings implements outboundv1.SettingsServiceServer.
func (s settingsServer) WatchSettings(_ *outboundv1.WatchSettingsRequest, stream outboundv1.SettingsService_WatchSettingsServer) error {
	var sent *outboundv1.WatchSettingsResponse
	for {
		state, ok, changed := s.settingsSnapshot.read()
		if ok && state != sent {
			if err := stream.Send(state); err != nil {
				return err
			}
			sent = state
		}
		if err := s.await(stream.Context(), changed); err != nil {
			return err
		}
	}
}

// await returns at the next change, or with an error when the stream or the service ends.
func (s *Service) await(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping:
		return rpc.Unavailable("the config service is stopping: reconnect in a moment")
	case <-changed:
		return nil
	}
}
