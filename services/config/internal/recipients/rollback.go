package recipients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// The reasons for which a recipient is not rolled back.
const (
	otherChannel = "OTHER_CHANNEL"
	beingDeleted = "BEING_DELETED"
)

// Past is the state that a roll back restores.
type Past struct {
	State store.Recipient

	Note store.ChangeNote
	// LastNumber returns the number of a deleted recipient's last revision. Numbers continue from there.
	LastNumber func(ctx context.Context) (uint64, error)
}

// Restore returns a recipient to an earlier state, and returns its new revision. What belongs to its queue stays: the start sequence, the
// disabled windows and what was purged.
func (s *Recipients) Restore(ctx context.Context, to Past) (uint64, error) {
	id := to.State.ID()
	now, err := s.stored.Get(ctx, id)
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return s.recreate(ctx, to)
	case err != nil:
		return 0, err
	case now.Deleting():
		return 0, rpc.FailedPrecondition(beingDeleted,
			fmt.Sprintf("recipient %s is being deleted: wait until its queue is drained, then roll back", id))
	}
	r, err := s.Change(ctx, Edit{ID: id, Note: to.Note, Next: func(old store.Recipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		return s.restored(ctx, old, to.State, now)
	}})
	if err != nil {
		return 0, err
	}
	if err := s.consumers.Ensure(ctx, id); err != nil {
		s.consumers.ReconcileSoon()
		return 0, fmt.Errorf("recipient %s is rolled back, but its consumer could not be updated (this is retried within a minute): %w", id, err)
	}
	return r.KVRevision, nil
}

// restored returns an earlier state of a recipient with the queue of the stored one.
func (s *Recipients) restored(ctx context.Context, old, past store.Recipient, now time.Time) (*outboundv1.StoredRecipient, error) {
	if old.Channel() != past.Channel() {
		return nil, rpc.FailedPrecondition(otherChannel,
			fmt.Sprintf("recipient %s had another channel at that revision: delete it first, or create another recipient", past.ID()))
	}
	next := visibleCopy(past.GetRecipient())
	next.CreateTime, next.UpdateTime = old.GetRecipient().GetCreateTime(), timestamppb.New(now)
	if err := s.checker.check(ctx, next, past.StoredRecipient, now); err != nil {
		return nil, err
	}
	secrets, err := sealSecrets(s.sealer, next, past.StoredRecipient, now)
	if err != nil {
		return nil, err
	}
	stored := secrets.stored(next, old.StoredRecipient)
	stored.DisabledWindows = windowsAfter(old.GetDisabledWindows(), next, now)
	return stored, nil
}

// recreate creates a deleted recipient in an earlier state. It gets events from now on.
func (s *Recipients) recreate(ctx context.Context, to Past) (uint64, error) {
	now := s.bus.Stamp(ctx)
	r := visibleCopy(to.State.GetRecipient())
	r.CreateTime, r.UpdateTime = timestamppb.New(now), timestamppb.New(now)
	if err := s.checker.check(ctx, r, to.State.StoredRecipient, now); err != nil {
		return 0, err
	}
	number, err := to.LastNumber(ctx)
	if err != nil {
		return 0, err
	}
	before, _ := proto.Clone(to.State.StoredRecipient).(*outboundv1.StoredRecipient)
	before.Revision = max(before.GetRevision(), number)
	created, err := s.createNamed(ctx, r, origin{before: before, note: to.Note}, now)
	if errors.Is(err, bus.ErrConflict) {
		return 0, s.idTaken(ctx, to.State.ID())
	}
	if err != nil {
		return 0, err
	}
	return store.ParseEtag(created.GetEtag())
}
