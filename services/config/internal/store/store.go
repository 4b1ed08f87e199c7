// Package store reads and writes the buckets of recipients and settings.
//
// A Store has two implementations: KV is a bucket of the broker, Memory a copy of one for dry runs. Recipients, Names and Parts are the
// typed views of a Store.
package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// Store holds keys with values and changes them by compare-and-set.
type Store interface {
	// Get returns one key, or bus.ErrNotFound.
	Get(ctx context.Context, key string) (bus.Entry, error)
	// List returns all keys with a prefix, sorted by key.
	List(ctx context.Context, prefix string) ([]bus.Entry, error)
	// Apply writes or removes one key and returns its new revision. Its error is bus.ErrConflict if the key's last revision is not the
	// one that the mutation names.
	Apply(ctx context.Context, m Mutation) (uint64, error)
}

// Mutation is the change of one key.
type Mutation struct {
	Key string
	// Value is the key's next value.
	Value []byte
	// Remove removes the key.
	Remove bool
	// Revision is the key's last revision; 0 says that the key does not exist.
	Revision uint64
	Note     ChangeNote
}

// note returns what is stored with the change. The actor is the caller.
func (m Mutation) note(ctx context.Context) bus.Note {
	action := m.Note.Action
	switch {
	case action != "":
	case m.Remove:
		action = ActionDeleted
	case m.Revision == 0:
		action = ActionCreated
	default:
		action = ActionChanged
	}
	return bus.Note{Actor: rpc.Actor(ctx), Action: action, RolledBackTo: m.Note.RolledBackTo}
}

// The actions that revisions name.
const (
	ActionCreated    = "created"
	ActionChanged    = "changed"
	ActionDeleted    = "deleted"
	ActionRemoved    = "removed"
	ActionRolledBack = "rolled back"
	ActionPurged     = "purged"
	ActionCut        = "cut"
	ActionBackedUp   = "backed up"
	ActionClaimed    = "claimed"
	ActionResealed   = "re-sealed"
)

// ChangeNote names a change that is more than a create, update or delete.
type ChangeNote struct {
	Action string
	// RolledBackTo is the revision that a roll back restores.
	RolledBackTo uint64
}

// Etag returns the etag of a revision. It is opaque to callers.
func Etag(revision uint64) string { return strconv.FormatUint(revision, 10) }

// ParseEtag returns the revision of an etag that Etag made.
func ParseEtag(etag string) (uint64, error) {
	revision, err := strconv.ParseUint(etag, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read etag %q: %w", etag, err)
	}
	return revision, nil
}
