// Package recipients creates, changes, checks, tests and previews recipients.
package recipients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/certificates"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

const kindRecipient = "recipient"

// Consumers are the consumers of recipients at the broker.
type Consumers interface {
	// Ensure makes a recipient's consumer what the recipient says. When it has returned, the consumer is at least as new as the recipient
	// was when it was called.
	Ensure(ctx context.Context, id string) error
	// Drop deletes a consumer whose recipient does not exist, and reports whether it did. kept is the queue of a lost recipient.
	Drop(ctx context.Context, ch recipient.Channel, id string) (dropped bool, kept control.Queue, err error)
	// ReconcileSoon asks for a reconcile pass now.
	ReconcileSoon()
}

// NoConsumers are the consumers of a dry run: there are none.
type NoConsumers struct{}

// Ensure implements Consumers.
func (NoConsumers) Ensure(context.Context, string) error { return nil }

// Drop implements Consumers.
func (NoConsumers) Drop(context.Context, recipient.Channel, string) (bool, control.Queue, error) {
	return false, control.Queue{}, nil
}

// ReconcileSoon implements Consumers.
func (NoConsumers) ReconcileSoon() {}

// Deps are what the recipients work with.
type Deps struct {
	Stored     *store.Recipients
	Names      *store.Names
	Consumers  Consumers
	Prechecker Prechecker
	Checker    *Checker
	Sealer     *secret.Sealer
	Bus        *bus.Conn
	// Now is the broker's clock, which stamps events: a disabled window is one of its time.
	Now func() time.Time
}

// Recipients creates, changes and deletes recipients. Its methods implement outboundv1.RecipientServiceServer, together with those of
// Tester and Previewer.
type Recipients struct {
	stored     *store.Recipients
	names      *store.Names
	consumers  Consumers
	prechecker Prechecker
	checker    *Checker
	sealer     *secret.Sealer
	bus        *bus.Conn
	now        func() time.Time
	// turn is held by the change of a recipient that is in progress.
	turn chan struct{}
}

// New returns the recipients in a store.
func New(d Deps) *Recipients {
	return &Recipients{
		stored: d.Stored, names: d.Names, consumers: d.Consumers, prechecker: d.Prechecker, checker: d.Checker, sealer: d.Sealer, bus: d.Bus,
		now: d.Now, turn: make(chan struct{}, 1),
	}
}

// visible returns a recipient as callers see it.
func visible(r store.Recipient, now time.Time) *outboundv1.Recipient {
	out := visibleCopy(r.GetRecipient())
	out.Etag, out.Warnings = r.Etag(), warnings(out, now)
	if h := out.GetHttp(); h != nil {
		h.CaCertificates = certificates.Describe(h.GetCaCertificatePem())
	}
	return out
}

// active returns a recipient that is not being deleted.
func (s *Recipients) active(ctx context.Context, id string) (store.Recipient, error) {
	r, err := s.stored.Get(ctx, id)
	if errors.Is(err, bus.ErrNotFound) || err == nil && r.Deleting() {
		return r, rpc.NotFound(kindRecipient, id)
	}
	return r, store.AsStatus(ctx, err)
}

// GetRecipient implements outboundv1.RecipientServiceServer.
func (s *Recipients) GetRecipient(ctx context.Context, q *outboundv1.GetRecipientRequest) (*outboundv1.Recipient, error) {
	r, err := s.active(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	return visible(r, s.now()), nil
}

// UpdateRecipient implements outboundv1.RecipientServiceServer.
func (s *Recipients) UpdateRecipient(ctx context.Context, q *outboundv1.UpdateRecipientRequest) (*outboundv1.Recipient, error) {
	in := q.GetRecipient()
	var shown sealedSecrets
	elsewhere := false
	next := func(old store.Recipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		next := visibleCopy(old.GetRecipient())
		faults := validation.Merge(next, in, q.GetUpdateMask())
		if err := faults.Err(); err != nil {
			return nil, err
		}
		if next.Enabled == nil {
			// A full replacement without it does not enable the recipient.
			next.Enabled = old.GetRecipient().Enabled
		}
		elsewhere = newDestination(old.GetRecipient(), next)
		next.UpdateTime = timestamppb.New(now)
		if err := s.checker.check(ctx, next, old.StoredRecipient, now); err != nil {
			return nil, err
		}
		var err error
		if shown, err = sealSecrets(s.sealer, next, old.StoredRecipient, now); err != nil {
			return nil, err
		}
		stored := shown.stored(next, old.StoredRecipient)
		stored.DisabledWindows = windowsAfter(old.GetDisabledWindows(), next, now)
		if sameRecipient(old.StoredRecipient, stored) {
			return nil, store.ErrUnchanged
		}
		return stored, nil
	}
	r, err := s.Change(ctx, Edit{ID: in.GetId(), Etag: in.GetEtag(), Next: next})
	// A change that changes nothing is answered all the same. The consumer may still lag behind an earlier change.
	if err != nil && !errors.Is(err, store.ErrUnchanged) {
		return nil, store.AsStatus(ctx, err)
	}
	out := visible(r, s.now())
	shown.show(out)
	if err := s.consumers.Ensure(ctx, r.ID()); err != nil {
		s.consumers.ReconcileSoon()
		return nil, store.AsStatus(ctx,
			fmt.Errorf("recipient %s is saved, but its consumer could not be updated (this is retried within a minute): %w", r.ID(), err))
	}
	if elsewhere {
		s.precheck(ctx, out)
	}
	return out, nil
}

// DeleteRecipient implements outboundv1.RecipientServiceServer. It marks the recipient as being deleted: its name is free at once, the
// senders record what waits as CANCELLED, and then the reconciler removes it.
func (s *Recipients) DeleteRecipient(ctx context.Context, q *outboundv1.DeleteRecipientRequest) (*emptypb.Empty, error) {
	next := func(old store.Recipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		next, _ := proto.Clone(old.StoredRecipient).(*outboundv1.StoredRecipient)
		next.Recipient.DeleteTime = timestamppb.New(now)
		next.Recipient.UpdateTime = timestamppb.New(now)
		next.Revision++
		return next, nil
	}
	r, err := s.Change(ctx, Edit{ID: q.GetId(), Etag: q.GetEtag(), Next: next})
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	s.names.Release(ctx, r.GetRecipient().GetDisplayName(), r.ID())
	s.consumers.ReconcileSoon()
	return &emptypb.Empty{}, nil
}
