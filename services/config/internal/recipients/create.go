package recipients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// CreateRecipient implements outboundv1.RecipientServiceServer. When it has answered, the recipient's consumer exists too.
func (s *Recipients) CreateRecipient(ctx context.Context, q *outboundv1.CreateRecipientRequest) (*outboundv1.Recipient, error) {
	r, _ := proto.Clone(q.GetRecipient()).(*outboundv1.Recipient)
	if r == nil {
		r = &outboundv1.Recipient{}
	}
	now := s.bus.Stamp(ctx)
	r.CreateTime, r.UpdateTime, r.DeleteTime = timestamppb.New(now), timestamppb.New(now), nil
	if err := s.checker.check(ctx, r, nil, now); err != nil {
		return nil, err
	}
	chosen := r.GetId() != ""
	for {
		attempt, _ := proto.Clone(r).(*outboundv1.Recipient)
		if !chosen {
			id, err := s.freeID(ctx, r.GetDisplayName())
			if err != nil {
				return nil, store.AsStatus(ctx, err)
			}
			attempt.Id = id
		}
		out, err := s.createNamed(ctx, attempt, origin{}, now)
		switch {
		case err == nil:
			s.precheck(ctx, out)
			return out, nil
		case !errors.Is(err, bus.ErrConflict):
			return nil, store.AsStatus(ctx, err)
		case chosen:
			return nil, s.idTaken(ctx, r.GetId())
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		// Another recipient took the id. Try the next one.
	}
}

// createNamed reserves the name of a recipient and creates it. Its error is bus.ErrConflict if the id is taken.
func (s *Recipients) createNamed(
	ctx context.Context, r *outboundv1.Recipient, from origin, now time.Time,
) (*outboundv1.Recipient, error) {
	name, err := s.names.Reserve(ctx, r.GetDisplayName(), r.GetId())
	if errors.Is(err, store.ErrNameTaken) {
		return nil, rpc.AlreadyExists("displayName", r.GetDisplayName(), "choose another name, or update the existing recipient")
	}
	if err != nil {
		return nil, err
	}
	out, err := s.create(ctx, r, from, now)
	if err != nil {
		s.names.Unreserve(context.WithoutCancel(ctx), r.GetDisplayName(), r.GetId(), name)
	}
	return out, err
}

// origin is what a recipient is created from: nothing, or its state before it was deleted.
type origin struct {
	before *outboundv1.StoredRecipient
	note   store.ChangeNote
}

// create stores a recipient and makes its consumer. It reads the last sequence of EVENTS first, so that no event accepted after the
// answer is missed. If the consumer can't be made, the recipient is removed.
func (s *Recipients) create(ctx context.Context, r *outboundv1.Recipient, from origin, now time.Time) (*outboundv1.Recipient, error) {
	last, err := store.WithTimeout(ctx, eventlog.New(s.bus).LastSequence)
	if err != nil {
		return nil, err
	}
	// The consumer of an earlier recipient with this id starts too early and holds events that were meant for that one. If that recipient
	// was lost, not removed, this is its return: it takes the queue over.
	_, kept, err := s.consumers.Drop(ctx, store.ChannelOf(r), r.GetId())
	if err != nil {
		return nil, err
	}
	if kept.Messages > 0 {
		last = max(kept.Start, 1) - 1
	}
	secrets, err := sealSecrets(s.sealer, r, from.before, now)
	if err != nil {
		return nil, err
	}
	stored := secrets.stored(r, from.before)
	stored.StartSequence, stored.PurgedThrough, stored.BacklogThrough, stored.BacklogTime = last+1, 0, 0, nil
	stored.DisabledWindows = windowsAfter(nil, r, now)
	put, err := s.stored.Put(ctx, store.Recipient{StoredRecipient: stored}, from.note)
	if err != nil {
		return nil, err
	}
	switch err := s.consumers.Ensure(ctx, r.GetId()); {
	case err == nil:
	case kept.Messages > 0:
		// To remove the recipient would record that its queue may go.
		s.consumers.ReconcileSoon()
	default:
		_ = s.stored.Remove(context.WithoutCancel(ctx), put, store.ChangeNote{})
		s.consumers.ReconcileSoon()
		return nil, fmt.Errorf("create the consumer of recipient %s: %w", r.GetId(), err)
	}
	out := visible(put, now)
	secrets.show(out)
	return out, nil
}

// idTaken returns why an id is not available.
func (s *Recipients) idTaken(ctx context.Context, id string) error {
	if r, err := s.stored.Get(ctx, id); err == nil && r.Deleting() {
		return rpc.AlreadyExists("id", id, "it is being deleted: wait until its queue is drained, or choose another id")
	}
	return rpc.AlreadyExists("id", id, "choose another id, or update the existing recipient")
}
