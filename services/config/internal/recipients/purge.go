package recipients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// PurgeRecipient implements outboundv1.RecipientServiceServer. It stores up to which sequence the queue is purged. The senders record
// what waits there as CANCELLED; the reconciler has it redelivered for that.
func (s *Recipients) PurgeRecipient(ctx context.Context, q *outboundv1.PurgeRecipientRequest) (*outboundv1.PurgeRecipientResponse, error) {
	r, err := s.active(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	// The count includes everything up to the sequence, because the sequence is read first.
	through, err := store.WithTimeout(ctx, eventlog.New(s.bus).LastSequence)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	h, err := control.New(s.bus).Backlog(ctx, r.Channel(), r.ID())
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return nil, store.AsStatus(ctx, err)
	}
	waits := int64(h.Total()) //nolint:gosec // a queue is shorter than that
	resp := &outboundv1.PurgeRecipientResponse{Cancelled: waits}
	if q.GetValidateOnly() {
		return resp, nil
	}
	if q.ExpectedCount != nil && waits > q.GetExpectedCount() {
		return nil, rpc.FailedPrecondition("MORE_WAIT",
			fmt.Sprintf("%d deliveries are pending, not %d: check again, and expect %d to cancel them", waits, q.GetExpectedCount(), waits))
	}
	if waits == 0 {
		return resp, nil
	}
	next := func(old store.Recipient, _ time.Time) (*outboundv1.StoredRecipient, error) {
		next, _ := proto.Clone(old.StoredRecipient).(*outboundv1.StoredRecipient)
		next.PurgedThrough = max(next.GetPurgedThrough(), through)
		return next, nil
	}
	_, err = s.Change(ctx, Edit{ID: q.GetId(), Note: store.ChangeNote{Action: store.ActionPurged}, Next: next})
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	s.consumers.ReconcileSoon()
	return resp, nil
}
