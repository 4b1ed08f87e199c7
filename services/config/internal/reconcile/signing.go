package reconcile

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// endedFor is how long a signing secret must have ended before it is removed: the clocks of the senders may be behind.
const endedFor = time.Minute

// dropEnded removes the signing secrets of a recipient that have ended while another one signs on, as after a rotation. The last ones
// stay, so that the recipient still says why its requests are not signed.
func (s *Reconciler) dropEnded(ctx context.Context, r store.Recipient, now time.Time) error {
	ended := endedSecrets(r.GetRecipient().GetHttp().GetSigningSecrets(), now)
	if len(ended) == 0 {
		return nil
	}
	next, _ := proto.Clone(r.StoredRecipient).(*outboundv1.StoredRecipient)
	h := next.GetRecipient().GetHttp()
	h.SigningSecrets = nil
	for _, p := range r.GetRecipient().GetHttp().GetSigningSecrets() {
		if ended[p.GetId()] {
			delete(next.GetSealedSecrets(), credential.SigningSecretPath(p.GetId()))
			continue
		}
		h.SigningSecrets = append(h.SigningSecrets, p)
	}
	next.Revision++
	next.Recipient.UpdateTime = timestamppb.New(now)
	_, err := s.stored.Put(ctx, store.Recipient{StoredRecipient: next, KVRevision: r.KVRevision}, store.ChangeNote{})
	if errors.Is(err, bus.ErrConflict) {
		// Somebody changed the recipient meanwhile. The next pass looks again.
		return nil
	}
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "signing secrets removed after they ended", telemetry.KeyRecipient, r.ID())
	return nil
}

// endedSecrets are the ids of the secrets that have ended, if at least one signs on.
func endedSecrets(secrets []*outboundv1.SigningSecret, now time.Time) map[string]bool {
	ended := map[string]bool{}
	for _, p := range secrets {
		if p.GetExpireTime() != nil && now.Sub(p.GetExpireTime().AsTime()) >= endedFor {
			ended[p.GetId()] = true
		}
	}
	if len(ended) == len(secrets) {
		return nil
	}
	return ended
}
