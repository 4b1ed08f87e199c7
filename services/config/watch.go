package config

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// loadRecipients reads all recipients and shows them to the watch streams.
func (s *Service) loadRecipients(ctx context.Context) error {
	entries, err := s.recipients.all(ctx, prefixRecipient)
	if err != nil {
		return err
	}
	state := make(map[string]storedRecipient, len(entries))
	for _, e := range entries {
		r, err := decodeStored(e)
		if err != nil {
			// One that can't be read must not hide the others.
			s.log.ErrorContext(ctx, "recipient can't be read", "error", err.Error())
			continue
		}
		r.Recipient.Etag = r.etag()
		state[r.id()] = r
	}
	s.recipientBoard.show(state)
	return nil
}

func (s *Service) loadSettings(ctx context.Context) error {
	state, err := s.allSettings(ctx)
	if err != nil {
		return err
	}
	if before, ok, _ := s.settingsBoard.look(); !ok || !proto.Equal(before, state) {
		s.settingsBoard.show(state)
	}
	return nil
}

// WatchRecipients implements outboundv1.RecipientServiceServer. What is sent is the difference between what this stream has
// sent and what is there: a slow watcher misses steps, never the last one.
func (s recipientServer) WatchRecipients(q *outboundv1.WatchRecipientsRequest, stream outboundv1.RecipientService_WatchRecipientsServer) error {
	sent, synced := map[string]uint64{}, false
	for {
		state, ok, changed := s.recipientBoard.look()
		if ok {
			if err := sendChanges(q.GetChannel(), state, sent, stream); err != nil {
				return err
			}
			if !synced {
				if err := stream.Send(&outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Synced{Synced: &emptypb.Empty{}}}); err != nil {
					return err
				}
				synced = true
			}
		}
		if err := s.await(stream.Context(), changed); err != nil {
			return err
		}
	}
}

func sendChanges(ch outboundv1.WatchRecipientsRequest_Channel, state map[string]storedRecipient, sent map[string]uint64, stream outboundv1.RecipientService_WatchRecipientsServer) error {
	for id := range sent {
		if _, ok := state[id]; ok {
			continue
		}
		if err := stream.Send(&outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Removed{Removed: id}}); err != nil {
			return err
		}
		delete(sent, id)
	}
	for id, r := range state {
		if !watched(ch, channel(r)) || sent[id] == r.kv {
			continue
		}
		if err := stream.Send(&outboundv1.WatchRecipientsResponse{Change: &outboundv1.WatchRecipientsResponse_Recipient{Recipient: r.StoredRecipient}}); err != nil {
			return err
		}
		sent[id] = r.kv
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
		state, ok, changed := s.settingsBoard.look()
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
		return rpc.Unavailable("the config service is stopping: watch again in a moment")
	case <-changed:
		return nil
	}
}
