package recipients

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Edit is a change of a recipient.
type Edit struct {
	ID string
	// Etag is the one that the caller has read. Without it, the edit applies to whatever is stored.
	Etag string
	Note store.ChangeNote
	// Next returns the next state of the recipient. Its error ends the change.
	Next func(old store.Recipient, now time.Time) (*outboundv1.StoredRecipient, error)
}

// Change applies an edit by compare-and-set. Its time is one that the broker stamps, so that a disabled window holds exactly the events
// accepted in it. If somebody else was faster, the answer is ABORTED with an etag; without one, the edit is
// applied again to what is stored now. A new name is reserved before.
func (s *Recipients) Change(ctx context.Context, e Edit) (store.Recipient, error) {
	// Compare-and-set keeps changes apart. Within one process, one change at a time avoids conflicts.
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return store.Recipient{}, ctx.Err()
	}
	for {
		old, err := s.active(ctx, e.ID)
		if err != nil {
			return old, err
		}
		if e.Etag != "" && e.Etag != old.Etag() {
			return old, rpc.Aborted(kindRecipient, e.ID)
		}
		want, err := e.Next(old, s.bus.Stamp(ctx))
		if err != nil {
			return old, err
		}
		next, err := s.replace(ctx, old, want, e.Note)
		switch {
		case errors.Is(err, bus.ErrConflict) && e.Etag != "":
			return old, rpc.Aborted(kindRecipient, e.ID)
		case !errors.Is(err, bus.ErrConflict):
			return next, err
		case ctx.Err() != nil:
			return old, store.AsStatus(ctx, ctx.Err())
		}
		// Writers that meet would meet again if they went on in step.
		store.Backoff(ctx)
	}
}

// replace stores the next state of a recipient and moves its name.
func (s *Recipients) replace(
	ctx context.Context, old store.Recipient, next *outboundv1.StoredRecipient, note store.ChangeNote,
) (store.Recipient, error) {
	was, is := old.GetRecipient().GetDisplayName(), next.GetRecipient().GetDisplayName()
	if store.NameKey(was) == store.NameKey(is) {
		return s.stored.Put(ctx, store.Recipient{StoredRecipient: next, KVRevision: old.KVRevision}, note)
	}
	revision, err := s.names.Reserve(ctx, is, old.ID())
	if errors.Is(err, store.ErrNameTaken) {
		return old, rpc.AlreadyExists("displayName", is, "choose another name")
	}
	if err != nil {
		return old, err
	}
	stored, err := s.stored.Put(ctx, store.Recipient{StoredRecipient: next, KVRevision: old.KVRevision}, note)
	if err != nil {
		s.names.Unreserve(context.WithoutCancel(ctx), is, old.ID(), revision)
		return old, err
	}
	s.names.Release(ctx, was, old.ID())
	return stored, nil
}

// windowsAfter returns the disabled windows of a recipient after a change.
func windowsAfter(old []*outboundv1.DisabledWindow, r *outboundv1.Recipient, now time.Time) []*outboundv1.DisabledWindow {
	policy := recipient.Skip
	if r.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD {
		policy = recipient.Hold
	}
	before := make([]recipient.Window, len(old))
	for i, w := range old {
		before[i].Start = w.GetStartTime().AsTime()
		if w.GetEndTime() != nil {
			before[i].End = w.GetEndTime().AsTime()
		}
	}
	var out []*outboundv1.DisabledWindow
	for _, w := range recipient.NextWindows(before, r.GetEnabled(), policy, now) {
		p := &outboundv1.DisabledWindow{StartTime: timestamppb.New(w.Start)}
		if !w.End.IsZero() {
			p.EndTime = timestamppb.New(w.End)
		}
		out = append(out, p)
	}
	return out
}

// sameRecipient reports whether a change leaves a recipient as it was. A secret that is given always counts as a change, because the
// answer would otherwise tell whether a guessed secret is the stored one.
func sameRecipient(a, b *outboundv1.StoredRecipient) bool {
	return proto.Equal(comparableRecipient(a), comparableRecipient(b))
}

// comparableRecipient returns a recipient without what each change sets anew.
func comparableRecipient(r *outboundv1.StoredRecipient) *outboundv1.StoredRecipient {
	out, _ := proto.Clone(r).(*outboundv1.StoredRecipient)
	out.Revision, out.DisabledWindows, out.Recipient.UpdateTime = 0, nil, nil
	return out
}
