package store

import (
	"context"
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
)

// Names keeps the display names of recipients unique. Each name is a key of its own, which one recipient creates.
type Names struct {
	entries    Store
	recipients *Recipients
	orphanAge  time.Duration
	now        func() time.Time
}

// NewNames returns the names in a store. A key older than orphanAge, by the clock of the store, that no recipient has is free.
func NewNames(entries Store, orphanAge time.Duration, now func() time.Time) *Names {
	return &Names{entries: entries, recipients: NewRecipients(entries), orphanAge: orphanAge, now: now}
}

// ErrNameTaken says that another recipient has the name.
var ErrNameTaken = errors.New("name taken")

// Reserve takes a name for a recipient and returns the revision of its key. A name that the recipient has already is written again, at a
// new revision, so that a slower change which releases it does not take it from this one.
func (s *Names) Reserve(ctx context.Context, name, id string) (uint64, error) {
	key := NameKey(name)
	for {
		rev, err := s.entries.Apply(ctx, Mutation{Key: key, Value: []byte(id)})
		if !errors.Is(err, bus.ErrConflict) {
			return rev, err
		}
		held, err := s.entries.Get(ctx, key)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if string(held.Value) != id {
			orphan, err := s.orphaned(ctx, held)
			if err != nil {
				return 0, err
			}
			if !orphan {
				return 0, ErrNameTaken
			}
		}
		rev, err = s.entries.Apply(ctx, Mutation{Key: key, Value: []byte(id), Revision: held.Revision})
		if !errors.Is(err, bus.ErrConflict) {
			return rev, err
		}
	}
}

// orphaned reports whether a name's key was left behind by a change that did not finish: no recipient has the name, and the key is too
// old for the change to be in progress. The name of a recipient that is being deleted is free at once.
func (s *Names) orphaned(ctx context.Context, held bus.Entry) (bool, error) {
	r, err := s.recipients.Get(ctx, string(held.Value))
	switch {
	case err != nil && !errors.Is(err, bus.ErrNotFound):
		return false, err
	case err == nil && r.Deleting():
		return true, nil
	case err == nil && NameKey(r.GetRecipient().GetDisplayName()) == held.Key:
		return false, nil
	default:
		return s.now().Sub(held.Time) > s.orphanAge, nil
	}
}

// DropOrphan removes a name's key if no recipient has the name. A key that changed since it was read is left alone.
func (s *Names) DropOrphan(ctx context.Context, held bus.Entry) error {
	orphan, err := s.orphaned(ctx, held)
	if err == nil && orphan {
		_, err = s.entries.Apply(ctx, Mutation{Key: held.Key, Remove: true, Revision: held.Revision})
	}
	if errors.Is(err, bus.ErrConflict) {
		return nil
	}
	return err
}

// Unreserve frees a name that was reserved for a change which then failed, unless the recipient has the name after all. The reconciler
// frees what fails here.
func (s *Names) Unreserve(ctx context.Context, name, id string, revision uint64) {
	r, err := s.recipients.Get(ctx, id)
	if err == nil && !r.Deleting() && NameKey(r.GetRecipient().GetDisplayName()) == NameKey(name) {
		return
	}
	if err == nil || errors.Is(err, bus.ErrNotFound) {
		_, _ = s.entries.Apply(ctx, Mutation{Key: NameKey(name), Remove: true, Revision: revision})
	}
}

// Release frees the name that a recipient no longer has. If that fails, the name stays as an orphan: the next recipient that wants it
// takes it over, and the reconciler frees it.
func (s *Names) Release(ctx context.Context, name, id string) {
	held, err := s.entries.Get(ctx, NameKey(name))
	if err == nil && string(held.Value) == id {
		s.Unreserve(ctx, name, id, held.Revision)
	}
}
