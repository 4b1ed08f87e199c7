package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	kindRevision     = "revision"
	notBroughtBack   = "NOT_BROUGHT_BACK"
	reasonNotThere   = "NOT_THERE"
	reasonOtherKind  = "OTHER_CHANNEL"
	reasonIsDeleting = "BEING_DELETED"
)

// RollBack implements outboundv1.SettingsServiceServer. It is an update to what the resource was, secrets included, or a creation
// if it is gone by now.
func (s settingsServer) RollBack(ctx context.Context, q *outboundv1.RollBackRequest) (*outboundv1.RollBackResponse, error) {
	where, err := s.placeOf(q.GetResource())
	if err != nil {
		return nil, err
	}
	past, err := s.revisionOf(ctx, where, q.GetRevision())
	if err != nil {
		return nil, failed(ctx, err)
	}
	d := done{action: actionRolledBack, to: q.GetRevision()}
	var revision uint64
	if where.bucket == s.recipients {
		revision, err = s.rollBackRecipient(ctx, past, d)
	} else {
		revision, err = s.rollBackPart(ctx, where, past, d)
	}
	if err != nil {
		return nil, failed(ctx, err)
	}
	c, err := s.changeAt(ctx, where, revision)
	if err != nil {
		return nil, failed(ctx, fmt.Errorf("%s is rolled back, but the revision can't be read: %w", where.resource, err))
	}
	r, err := s.revision(ctx, where.bucket, c)
	if err != nil {
		return nil, failed(ctx, err)
	}
	return &outboundv1.RollBackResponse{Revision: r}, nil
}

// changeAt reads one revision of a resource.
func (s *Service) changeAt(ctx context.Context, where place, revision uint64) (bus.Change, error) {
	return within(ctx, func(ctx context.Context) (bus.Change, error) {
		kv, err := where.bucket.open(ctx)
		if err != nil {
			return bus.Change{}, err
		}
		c, ok, err := kv.ChangeAt(ctx, where.key, revision)
		if err == nil && !ok {
			err = rpc.NotFoundSaying(kindRevision, fmt.Sprintf("%s@%d", where.resource, revision), fmt.Sprintf("%s has no revision %d, or it is no longer stored: list its revisions", where.resource, revision))
		}
		return c, err
	})
}

// revisionOf reads a revision that can be gone back to.
func (s *Service) revisionOf(ctx context.Context, where place, revision uint64) (bus.Change, error) {
	c, err := s.changeAt(ctx, where, revision)
	if err != nil {
		return c, err
	}
	is, err := where.bucket.revisionViewOf(c)
	if err == nil && is.gone {
		err = rpc.FailedPrecondition(reasonNotThere, fmt.Sprintf("revision %d of %s is its deletion: choose an earlier revision, or delete the resource", revision, where.resource))
	}
	return c, err
}

// rollBackRecipient makes a recipient again what it was. What its queue is by now stays: since when it gets events, when it was
// disabled, what was purged.
func (s *Service) rollBackRecipient(ctx context.Context, c bus.Change, d done) (uint64, error) {
	past, err := decodeStored(c.Entry)
	if err != nil {
		return 0, err
	}
	id := past.id()
	now, err := s.recipient(ctx, id)
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return s.recreate(ctx, c, past, d)
	case err != nil:
		return 0, err
	case now.deleting():
		return 0, rpc.FailedPrecondition(reasonIsDeleting, fmt.Sprintf("recipient %s is being deleted: wait until its queue is drained, then roll back", id))
	}
	r, err := s.changeAs(ctx, id, "", d, func(old storedRecipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		if channel(old) != channel(past) {
			return nil, rpc.FailedPrecondition(reasonOtherKind, fmt.Sprintf("recipient %s had another channel at that revision: delete it first, or create another recipient", id))
		}
		next, _ := proto.Clone(past.GetRecipient()).(*outboundv1.Recipient)
		next.CreateTime, next.UpdateTime = old.GetRecipient().GetCreateTime(), timestamppb.New(now)
		if err := s.check(ctx, next, past.StoredRecipient, now); err != nil {
			return nil, err
		}
		secrets, err := s.cut(next, past.StoredRecipient, now)
		if err != nil {
			return nil, err
		}
		stored := secrets.stored(next, old.StoredRecipient)
		stored.DisabledWindows = windowsAfter(old.GetDisabledWindows(), next, now)
		return stored, nil
	})
	if err != nil {
		return 0, err
	}
	if err := s.ensure(ctx, id); err != nil {
		signal(s.reconcileSoon)
		return 0, fmt.Errorf("recipient %s is rolled back, but its consumer could not be updated (this is retried within a minute): %w", id, err)
	}
	return r.kv, nil
}

// recreate creates a recipient that was deleted as it was at a revision. It gets events from now on.
func (s *Service) recreate(ctx context.Context, c bus.Change, past storedRecipient, d done) (uint64, error) {
	now := time.Now()
	r, _ := proto.Clone(past.GetRecipient()).(*outboundv1.Recipient)
	r.CreateTime, r.UpdateTime = timestamppb.New(now), timestamppb.New(now)
	if err := s.check(ctx, r, past.StoredRecipient, now); err != nil {
		return 0, err
	}
	last, err := s.lastLife(ctx, c.Key, past.StoredRecipient)
	if err != nil {
		return 0, err
	}
	created, err := s.createNamed(ctx, r, beginning{before: last, done: d}, now)
	if errors.Is(err, bus.ErrConflict) {
		return 0, s.idTaken(ctx, past.id())
	}
	if err != nil {
		return 0, err
	}
	return revisionOfEtag(created.GetEtag())
}

// lastLife is a recipient's past with the number that its last revision had, so that numbers go on.
func (s *Service) lastLife(ctx context.Context, key string, past *outboundv1.StoredRecipient) (*outboundv1.StoredRecipient, error) {
	out, _ := proto.Clone(past).(*outboundv1.StoredRecipient)
	changes, err := within(ctx, func(ctx context.Context) ([]bus.Change, error) {
		kv, err := s.recipients.open(ctx)
		if err != nil {
			return nil, err
		}
		return kv.Changes(ctx, key, 0, 2)
	})
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if c.Removed {
			continue
		}
		if r, err := decodeStored(c.Entry); err == nil {
			out.Revision = max(out.GetRevision(), r.GetRevision())
		}
	}
	return out, nil
}

// rollBackPart makes a resource of the settings again what it was.
func (s *Service) rollBackPart(ctx context.Context, where place, c bus.Change, d done) (uint64, error) {
	past, err := decodePart(c.Entry)
	if err != nil {
		return 0, err
	}
	switch {
	case strings.HasPrefix(where.resource, ofUsers):
		return 0, rpc.FailedPrecondition(notBroughtBack, "users can't be rolled back because that would restore old passwords: update the user, or create it again with a new password")
	case strings.HasPrefix(where.resource, ofTokens):
		return 0, rpc.FailedPrecondition(notBroughtBack, "revoked tokens can't be restored: create a new one")
	}
	_, revision, err := s.changePartAs(ctx, where.key, d, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		switch {
		case past.GetSmtp() != nil:
			return s.backToSMTP(p, past)
		case past.GetEmail() != nil:
			return s.backToEmail(p, past)
		case len(past.GetEventTypes()) > 0:
			return s.backToType(ctx, p, past)
		case len(past.GetAppliances()) > 0:
			return s.backToAppliance(p, past, revision)
		default:
			return s.backToFields(p, past)
		}
	})
	return revision, err
}

// backToSMTP brings the relay's settings back with their secrets, which were given for that relay.
func (s *Service) backToSMTP(p, past *outboundv1.WatchSettingsResponse) error {
	next, _ := proto.Clone(past.GetSmtp()).(*outboundv1.SmtpSettings)
	var v violations
	if err := s.rules(&v, next, keySMTP); err != nil {
		return err
	}
	checkSMTP(&v, relayChange{next: next, before: past.GetSmtp(), stored: storedSecrets(past), now: time.Now()})
	if err := v.err(); err != nil {
		return err
	}
	next.UpdateTime = timestamppb.Now()
	p.Smtp, p.SealedSmtpPassword, p.SealedSmtpSecrets = next, past.GetSealedSmtpPassword(), past.GetSealedSmtpSecrets()
	return nil
}

func (s *Service) backToEmail(p, past *outboundv1.WatchSettingsResponse) error {
	p.Email, _ = proto.Clone(past.GetEmail()).(*outboundv1.EmailSettings)
	var v violations
	if err := s.rules(&v, p.GetEmail(), keyEmail); err != nil {
		return err
	}
	checkEmailSettings(&v, p.GetEmail())
	p.Email.UpdateTime = timestamppb.Now()
	return v.err()
}

func (s *Service) backToType(ctx context.Context, p, past *outboundv1.WatchSettingsResponse) error {
	next, _ := proto.Clone(past.GetEventTypes()[0]).(*outboundv1.EventType)
	if err := s.checkType(violations{}, next); err != nil {
		return err
	}
	if len(p.GetEventTypes()) > 0 && p.GetEventTypes()[0].GetEmail() && !next.GetEmail() {
		if err := s.refuseIfSelected(ctx, next.GetId(), "be disabled for email", func(r storedRecipient) bool { return r.GetRecipient().GetEmail() != nil }); err != nil {
			return err
		}
	}
	p.EventTypes = []*outboundv1.EventType{next}
	return nil
}

// backToAppliance brings back what people see of an appliance; its credentials stay as they are.
func (s *Service) backToAppliance(p, past *outboundv1.WatchSettingsResponse, revision uint64) error {
	was := past.GetAppliances()[0].GetAppliance()
	if revision == 0 || len(p.GetAppliances()) == 0 {
		return rpc.FailedPrecondition(notBroughtBack, fmt.Sprintf("appliance %s was revoked and its credentials can't be restored: add it again to get new ones", was.GetId()))
	}
	is := p.GetAppliances()[0].GetAppliance()
	is.DisplayName, is.SilentAfter = was.GetDisplayName(), was.GetSilentAfter()
	var v violations
	if err := s.rules(&v, is, "id"); err != nil {
		return err
	}
	return v.err()
}

func (s *Service) backToFields(p, past *outboundv1.WatchSettingsResponse) error {
	var v violations
	for _, f := range past.GetCustomFields() {
		if err := s.rules(&v, f, f.GetCodeName()); err != nil {
			return err
		}
		f.Etag = newEtag()
	}
	p.CustomFields = past.GetCustomFields()
	return v.err()
}
