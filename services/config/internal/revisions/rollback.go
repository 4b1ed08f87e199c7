package revisions

import (
	"context"
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

const (
	kindRevision   = "revision"
	reasonNotThere = "NOT_THERE"
)

// RollBack implements outboundv1.SettingsServiceServer. It updates the resource to an earlier state, secrets included, or creates it
// again if it was deleted.
func (s *Revisions) RollBack(ctx context.Context, q *outboundv1.RollBackRequest) (*outboundv1.RollBackResponse, error) {
	where, err := s.locate(q.GetResource())
	if err != nil {
		return nil, err
	}
	past, err := restorable(ctx, where, q.GetRevision())
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	d := store.ChangeNote{Action: store.ActionRolledBack, RolledBackTo: q.GetRevision()}
	var revision uint64
	if where.bucket == s.recipientsKV {
		revision, err = s.rollBackRecipient(ctx, past, d)
	} else {
		revision, err = s.rollBackPart(ctx, where, past, d)
	}
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	c, err := changeAt(ctx, where, revision)
	if err != nil {
		return nil, store.AsStatus(ctx, fmt.Errorf("%s is rolled back, but the revision can't be read: %w", where.resource, err))
	}
	r, err := describe(ctx, where.bucket, c)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	return &outboundv1.RollBackResponse{Revision: r}, nil
}

// changeAt reads one revision of a resource.
func changeAt(ctx context.Context, where location, revision uint64) (bus.Change, error) {
	c, err := where.bucket.ChangeAt(ctx, where.key, revision)
	if err != nil {
		return bus.Change{}, err
	}
	if c == nil {
		return bus.Change{}, rpc.NotFoundSaying(kindRevision, fmt.Sprintf("%s@%d", where.resource, revision),
			fmt.Sprintf("%s has no revision %d, or it is no longer stored: list its revisions", where.resource, revision))
	}
	return *c, nil
}

// restorable reads a revision that can be restored.
func restorable(ctx context.Context, where location, revision uint64) (bus.Change, error) {
	c, err := changeAt(ctx, where, revision)
	if err != nil {
		return c, err
	}
	is, err := revisionViewOf(where.bucket, c)
	if err == nil && is.gone {
		err = rpc.FailedPrecondition(reasonNotThere,
			fmt.Sprintf("revision %d of %s is its deletion: choose an earlier revision, or delete the resource", revision, where.resource))
	}
	return c, err
}

// rollBackRecipient restores an earlier state of a recipient.
func (s *Revisions) rollBackRecipient(ctx context.Context, c bus.Change, note store.ChangeNote) (uint64, error) {
	past, err := store.DecodeRecipient(c.Entry)
	if err != nil {
		return 0, err
	}
	return s.recipients.Restore(ctx, recipients.Past{
		State: past, Note: note, LastNumber: func(ctx context.Context) (uint64, error) { return s.lastNumber(ctx, c.Key) },
	})
}

// lastNumber returns the number of the last revision of a recipient that was deleted.
func (s *Revisions) lastNumber(ctx context.Context, key string) (uint64, error) {
	changes, err := s.recipientsKV.Changes(ctx, key, 0, 2)
	if err != nil {
		return 0, err
	}
	last := uint64(0)
	for _, c := range changes {
		if c.Removed {
			continue
		}
		if r, err := store.DecodeRecipient(c.Entry); err == nil {
			last = max(last, r.GetRevision())
		}
	}
	return last, nil
}

// rollBackPart restores an earlier state of a resource of the settings.
func (s *Revisions) rollBackPart(ctx context.Context, where location, c bus.Change, note store.ChangeNote) (uint64, error) {
	past, err := store.DecodePart(c.Entry)
	if err != nil {
		return 0, err
	}
	switch {
	case strings.HasPrefix(where.resource, ofUsers):
		return 0, rpc.FailedPrecondition(settings.NotRestored,
			"users can't be rolled back because that would restore old passwords: update the user, or create it again with a new password")
	case where.resource == ofBackups:
		return 0, rpc.FailedPrecondition(settings.NotRestored, "that a backup was taken can't be rolled back: use outbound restore")
	case strings.HasPrefix(where.resource, ofTokens):
		return 0, rpc.FailedPrecondition(settings.NotRestored, "revoked tokens can't be restored: create a new one")
	}
	return s.settings.Restore(ctx, where.key, past, note)
}
