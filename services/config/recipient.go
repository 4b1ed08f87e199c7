package config

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const kindRecipient = "recipient"

// visible is a recipient as callers see it.
func visible(r storedRecipient, now time.Time) *outboundv1.Recipient {
	out, _ := proto.Clone(r.GetRecipient()).(*outboundv1.Recipient)
	out.Etag, out.Warnings = r.etag(), warnings(out, now)
	if h := out.GetHttp(); h != nil {
		h.CaCertificates = describeCertificates(h.GetCaCertificatePem())
	}
	return out
}

// active reads a recipient that is not being deleted.
func (s *Service) active(ctx context.Context, id string) (storedRecipient, error) {
	r, err := s.recipient(ctx, id)
	if errors.Is(err, bus.ErrNotFound) || err == nil && r.deleting() {
		return r, rpc.NotFound(kindRecipient, id)
	}
	return r, failed(ctx, err)
}

// GetRecipient implements outboundv1.RecipientServiceServer.
func (s recipientServer) GetRecipient(ctx context.Context, q *outboundv1.GetRecipientRequest) (*outboundv1.Recipient, error) {
	r, err := s.active(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	return visible(r, time.Now()), nil
}

// CreateRecipient implements outboundv1.RecipientServiceServer. When it has answered, the recipient's consumer exists too.
func (s recipientServer) CreateRecipient(ctx context.Context, q *outboundv1.CreateRecipientRequest) (*outboundv1.Recipient, error) {
	if q.GetValidateOnly() && !s.inDryRun {
		return validateOnly(ctx, s.Service, func(r *Service) (*outboundv1.Recipient, error) {
			return recipientServer{Service: r}.CreateRecipient(ctx, q)
		})
	}
	r, _ := proto.Clone(q.GetRecipient()).(*outboundv1.Recipient)
	if r == nil {
		r = &outboundv1.Recipient{}
	}
	now := time.Now()
	r.CreateTime, r.UpdateTime, r.DeleteTime = timestamppb.New(now), timestamppb.New(now), nil
	if err := s.check(ctx, r, nil, now); err != nil {
		return nil, err
	}
	chosen := r.GetId() != ""
	for {
		attempt, _ := proto.Clone(r).(*outboundv1.Recipient)
		if !chosen {
			id, err := s.freeID(ctx, r.GetDisplayName())
			if err != nil {
				return nil, failed(ctx, err)
			}
			attempt.Id = id
		}
		out, err := s.createNamed(ctx, attempt, beginning{}, now)
		switch {
		case err == nil:
			s.precheck(ctx, out)
			return out, nil
		case !errors.Is(err, bus.ErrConflict):
			return nil, failed(ctx, err)
		case chosen:
			return nil, s.idTaken(ctx, r.GetId())
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		// Another recipient got the id that was free: look for the next.
	}
}

// createNamed reserves the name of a recipient and creates it. Its error is bus.ErrConflict if the id is taken.
func (s *Service) createNamed(ctx context.Context, r *outboundv1.Recipient, from beginning, now time.Time) (*outboundv1.Recipient, error) {
	name, err := s.reserve(ctx, r.GetDisplayName(), r.GetId())
	if errors.Is(err, errNameTaken) {
		return nil, rpc.AlreadyExists("displayName", r.GetDisplayName(), "choose another name, or update the existing recipient")
	}
	if err != nil {
		return nil, err
	}
	out, err := s.create(ctx, r, from, now)
	if err != nil {
		s.giveBack(context.WithoutCancel(ctx), r.GetDisplayName(), r.GetId(), name)
	}
	return out, err
}

// check fills in the defaults and answers with everything that is wrong with a recipient.
func (s *Service) check(ctx context.Context, r *outboundv1.Recipient, old *outboundv1.StoredRecipient, now time.Time) error {
	fillRecipient(r)
	fillSigning(r.GetHttp(), old)
	var v violations
	if err := s.rules(&v, r, "http"); err != nil {
		return err
	}
	types, err := s.catalogue(ctx)
	if err != nil {
		return failed(ctx, err)
	}
	fields, err := s.customFields(ctx)
	if err != nil {
		return failed(ctx, err)
	}
	checkRecipient(&v, r, checkInput{now: now, policy: s.policy, types: types, custom: codeNames(fields), old: old})
	checkFilter(&v, s.filters, r, old.GetRecipient())
	return v.err()
}

// beginning is what a recipient is created from: nothing, or what it was before it was deleted.
type beginning struct {
	before *outboundv1.StoredRecipient
	done   done
}

// create stores a recipient and makes its consumer. The start is read first, so that nothing accepted after the answer is
// missed. If the consumer can't be made, the recipient goes again.
func (s *Service) create(ctx context.Context, r *outboundv1.Recipient, from beginning, now time.Time) (*outboundv1.Recipient, error) {
	last, err := within(ctx, s.bus.LastSequence)
	if err != nil {
		return nil, err
	}
	// What an earlier recipient of this id has left behind begins too early and holds what was meant for that one.
	if _, err := s.dropConsumer(ctx, channelOf(r), r.GetId()); err != nil {
		return nil, err
	}
	secrets, err := s.cut(r, from.before, now)
	if err != nil {
		return nil, err
	}
	stored := secrets.stored(r, from.before)
	stored.StartSequence, stored.PurgedThrough, stored.BacklogThrough, stored.BacklogTime = last+1, 0, 0, nil
	stored.DisabledWindows = windowsAfter(nil, r, now)
	put, err := s.put(ctx, stored, 0, from.done)
	if err != nil {
		return nil, err
	}
	if err := s.ensure(ctx, r.GetId()); err != nil {
		_ = s.recipients.remove(context.WithoutCancel(ctx), prefixRecipient+r.GetId(), put.kv)
		signal(s.reconcileSoon)
		return nil, fmt.Errorf("create the consumer of recipient %s: %w", r.GetId(), err)
	}
	out := visible(put, now)
	secrets.show(out)
	return out, nil
}

// idTaken says why an id can't be had.
func (s *Service) idTaken(ctx context.Context, id string) error {
	if r, err := s.recipient(ctx, id); err == nil && r.deleting() {
		return rpc.AlreadyExists("id", id, "it is being deleted: wait until its queue is drained, or choose another id")
	}
	return rpc.AlreadyExists("id", id, "choose another id, or update the existing recipient")
}

// UpdateRecipient implements outboundv1.RecipientServiceServer.
func (s recipientServer) UpdateRecipient(ctx context.Context, q *outboundv1.UpdateRecipientRequest) (*outboundv1.Recipient, error) {
	if q.GetValidateOnly() && !s.inDryRun {
		return validateOnly(ctx, s.Service, func(r *Service) (*outboundv1.Recipient, error) {
			return recipientServer{Service: r}.UpdateRecipient(ctx, q)
		})
	}
	in := q.GetRecipient()
	var shown secretsCut
	elsewhere := false
	r, err := s.change(ctx, in.GetId(), in.GetEtag(), func(old storedRecipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		next, _ := proto.Clone(old.GetRecipient()).(*outboundv1.Recipient)
		faults := merge(next, in, q.GetUpdateMask())
		if err := faults.err(); err != nil {
			return nil, err
		}
		if next.Enabled == nil {
			// Left out of a whole replacement: a recipient is not enabled by the way.
			next.Enabled = old.GetRecipient().Enabled
		}
		elsewhere = leadsElsewhere(old.GetRecipient(), next)
		next.UpdateTime = timestamppb.New(now)
		if err := s.check(ctx, next, old.StoredRecipient, now); err != nil {
			return nil, err
		}
		var err error
		if shown, err = s.cut(next, old.StoredRecipient, now); err != nil {
			return nil, err
		}
		stored := shown.stored(next, old.StoredRecipient)
		stored.DisabledWindows = windowsAfter(old.GetDisabledWindows(), next, now)
		if sameRecipient(old.StoredRecipient, stored) {
			return nil, errUnchanged
		}
		return stored, nil
	})
	// What is as it was is answered all the same, and its queue may not be yet what an earlier change made of it.
	if err != nil && !errors.Is(err, errUnchanged) {
		return nil, failed(ctx, err)
	}
	out := visible(r, time.Now())
	shown.show(out)
	if err := s.ensure(ctx, r.id()); err != nil {
		signal(s.reconcileSoon)
		return nil, failed(ctx, fmt.Errorf("recipient %s is saved, but its consumer could not be updated (this is retried within a minute): %w", r.id(), err))
	}
	if elsewhere {
		s.precheck(ctx, out)
	}
	return out, nil
}

// DeleteRecipient implements outboundv1.RecipientServiceServer. It marks the recipient: its name is free at once, the senders
// record what waits as CANCELLED, and then reconciling removes it.
func (s recipientServer) DeleteRecipient(ctx context.Context, q *outboundv1.DeleteRecipientRequest) (*emptypb.Empty, error) {
	r, err := s.change(ctx, q.GetId(), q.GetEtag(), func(old storedRecipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		next, _ := proto.Clone(old.StoredRecipient).(*outboundv1.StoredRecipient)
		next.Recipient.DeleteTime = timestamppb.New(now)
		next.Recipient.UpdateTime = timestamppb.New(now)
		next.Revision++
		return next, nil
	})
	if err != nil {
		return nil, failed(ctx, err)
	}
	s.release(ctx, r.GetRecipient().GetDisplayName(), r.id())
	signal(s.reconcileSoon)
	return &emptypb.Empty{}, nil
}

// change reads a recipient, has f make the next one of it, and stores that unless somebody else was faster: with an etag the
// answer is then ABORTED, without one it is done again on what is there now. A new name is reserved before.
func (s *Service) change(ctx context.Context, id, etag string, f func(old storedRecipient, now time.Time) (*outboundv1.StoredRecipient, error)) (storedRecipient, error) {
	return s.changeAs(ctx, id, etag, done{}, f)
}

// changeAs is the same for a change that has a name of its own.
func (s *Service) changeAs(ctx context.Context, id, etag string, d done, f func(old storedRecipient, now time.Time) (*outboundv1.StoredRecipient, error)) (storedRecipient, error) {
	// Compare-and-set is what keeps changes apart; within one process taking turns spares the conflicts.
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return storedRecipient{}, ctx.Err()
	}
	for {
		old, err := s.active(ctx, id)
		if err != nil {
			return old, err
		}
		if etag != "" && etag != old.etag() {
			return old, rpc.Aborted(kindRecipient, id)
		}
		want, err := f(old, time.Now())
		if err != nil {
			return old, err
		}
		next, err := s.replace(ctx, old, want, d)
		switch {
		case errors.Is(err, bus.ErrConflict) && etag != "":
			return old, rpc.Aborted(kindRecipient, id)
		case !errors.Is(err, bus.ErrConflict):
			return next, err
		case ctx.Err() != nil:
			return old, failed(ctx, ctx.Err())
		}
		// Writers that meet would meet again if they went on in step.
		pause(ctx, rand.N(20*time.Millisecond))
	}
}

// replace stores the next state of a recipient, its name with it.
func (s *Service) replace(ctx context.Context, old storedRecipient, next *outboundv1.StoredRecipient, d done) (storedRecipient, error) {
	was, is := old.GetRecipient().GetDisplayName(), next.GetRecipient().GetDisplayName()
	if nameKey(was) == nameKey(is) {
		return s.put(ctx, next, old.kv, d)
	}
	revision, err := s.reserve(ctx, is, old.id())
	if errors.Is(err, errNameTaken) {
		return old, rpc.AlreadyExists("displayName", is, "choose another name")
	}
	if err != nil {
		return old, err
	}
	stored, err := s.put(ctx, next, old.kv, d)
	if err != nil {
		s.giveBack(context.WithoutCancel(ctx), is, old.id(), revision)
		return old, err
	}
	s.release(ctx, was, old.id())
	return stored, nil
}

// windowsAfter are the disabled windows of a recipient after a change.
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
