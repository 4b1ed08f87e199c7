package watch

import (
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/configclient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// recipientStream is one stream and what it has sent.
type recipientStream struct {
	q      *outboundv1.WatchRecipientsRequest
	stream outboundv1.RecipientService_WatchRecipientsServer
	sent   map[string]uint64
	synced bool
	// load and through are of the state that was sent last.
	load, through uint64
}

// send sends what the watcher does not know: changes first, then how recent they are.
func (w *recipientStream) send(state recipientState) error {
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

func (w *recipientStream) changes(state map[string]store.Recipient) error {
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
		if !configclient.Selects(w.q, r.Channel()) || w.sent[id] == r.KVRevision {
			continue
		}
		m := &outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Recipient{Recipient: r.StoredRecipient}}
		if err := w.stream.Send(m); err != nil {
			return err
		}
		w.sent[id] = r.KVRevision
	}
	return nil
}
