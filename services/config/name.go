package config

import (
	"context"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/outbound-events/outbound/pkg/bus"
)

// foldName is what two names that count as the same have in common: case and surrounding blanks do not count, nor the way
// an accent is encoded.
func foldName(name string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(name))))
}

// nameKey is the key that makes a name unique: whoever creates it has the name. Its value is the recipient's id.
func nameKey(name string) string {
	return prefixName + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(foldName(name))))
}

// errNameTaken says that another recipient has the name.
var errNameTaken = errors.New("name taken")

// reserve takes a name for a recipient and returns the revision of its key. A name that the recipient has already is taken
// again at a new revision, so that a slower change which gives it back does not take it from this one.
func (s *Service) reserve(ctx context.Context, name, id string) (uint64, error) {
	key := nameKey(name)
	for {
		rev, err := s.recipients.write(ctx, key, []byte(id), 0)
		if !errors.Is(err, bus.ErrConflict) {
			return rev, err
		}
		held, err := s.recipients.read(ctx, key)
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
				return 0, errNameTaken
			}
		}
		rev, err = s.recipients.write(ctx, key, []byte(id), held.Revision)
		if !errors.Is(err, bus.ErrConflict) {
			return rev, err
		}
	}
}

// orphaned reports whether a name's key was left behind by a change that did not come to its end: no recipient has the
// name, and the key is too old for the change to be under way still. The name of a recipient being deleted is free at once.
func (s *Service) orphaned(ctx context.Context, held bus.Entry) (bool, error) {
	r, err := s.recipient(ctx, string(held.Value))
	switch {
	case err != nil && !errors.Is(err, bus.ErrNotFound):
		return false, err
	case err == nil && r.deleting():
		return true, nil
	case err == nil && nameKey(r.GetRecipient().GetDisplayName()) == held.Key:
		return false, nil
	default:
		return time.Since(held.Time) > s.o.OrphanAge, nil
	}
}

// giveBack frees a name that was reserved for a change which then failed, unless the recipient has it after all. What
// can't be freed now is freed by reconciling.
func (s *Service) giveBack(ctx context.Context, name, id string, revision uint64) {
	r, err := s.recipient(ctx, id)
	if err == nil && !r.deleting() && nameKey(r.GetRecipient().GetDisplayName()) == nameKey(name) {
		return
	}
	if err == nil || errors.Is(err, bus.ErrNotFound) {
		_ = s.recipients.remove(ctx, nameKey(name), revision)
	}
}

// release frees the name that a recipient no longer has. A failure leaves a name that nobody has: whoever wants it takes it
// over, and reconciling frees it.
func (s *Service) release(ctx context.Context, name, id string) {
	held, err := s.recipients.read(ctx, nameKey(name))
	if err == nil && string(held.Value) == id {
		s.giveBack(ctx, name, id, held.Revision)
	}
}
