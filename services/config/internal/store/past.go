package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
)

// PrefixPast begins the keys of earlier revisions that were sealed anew: past.<bucket>.<key>.<revision>, in the bucket of recipients. The
// bucket that had them removes them, since a message of a stream cannot be changed.
const PrefixPast = "past."

// MaxPast is how many of them are kept of one key, as many as a bucket keeps values of a key.
const MaxPast = 64

// pastChange is the value of such a key.
type pastChange struct {
	Revision     uint64    `json:"revision"`
	Time         time.Time `json:"time"`
	Actor        string    `json:"actor,omitempty"`
	Action       string    `json:"action,omitempty"`
	RolledBackTo uint64    `json:"rolledBackTo,omitempty"`
	Removed      bool      `json:"removed,omitempty"`
	Value        []byte    `json:"value,omitempty"`
}

// pastKeys is the pattern of the keys that hold the past of a pattern of keys of this bucket.
func (b *KV) pastKeys(keys string) string {
	out := PrefixPast + strings.TrimPrefix(b.name, "outbound_") + "." + keys
	if !strings.HasSuffix(keys, ">") {
		out += ".*"
	}
	return out
}

func (b *KV) pastKey(key string, revision uint64) string {
	return strings.TrimSuffix(b.pastKeys(key), "*") + strconv.FormatUint(revision, 10)
}

// KeepPastIn names the bucket of recipients, where earlier revisions are kept that were sealed anew. It is called once, before the first
// reading.
func (b *KV) KeepPastIn(recipients *KV) { b.past = recipients }

// allPast is more than there are.
const allPast = 1 << 20

// Past returns the earlier revisions of keys that match a pattern, of those that were sealed anew, newest first.
func (b *KV) Past(ctx context.Context, keys string) ([]bus.Change, error) {
	if b.past == nil {
		return nil, nil
	}
	stored, err := withBucket(ctx, b.past, func(ctx context.Context, kv *bus.Bucket) ([]bus.Change, error) {
		return kv.Changes(ctx, b.pastKeys(keys), 0, allPast)
	})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var out []bus.Change
	for _, s := range stored {
		if seen[s.Key] || s.Removed {
			continue // while it is sealed anew there are two
		}
		seen[s.Key] = true
		c, err := b.pastOf(s)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y bus.Change) int { return cmp.Compare(y.Revision, x.Revision) })
	return out, nil
}

// pastOf decodes a revision that was sealed anew.
func (b *KV) pastOf(s bus.Change) (c bus.Change, err error) {
	var p pastChange
	if err := json.Unmarshal(s.Value, &p); err != nil {
		return c, fmt.Errorf("read the earlier revision %s: %w", s.Key, err)
	}
	key := strings.TrimSuffix(strings.TrimPrefix(s.Key, b.pastKeys(">")[:len(b.pastKeys(">"))-1]), "."+strconv.FormatUint(p.Revision, 10))
	return bus.Change{
		Entry:   bus.Entry{Key: key, Value: p.Value, Revision: p.Revision, Time: p.Time},
		Note:    bus.Note{Actor: p.Actor, Action: p.Action, RolledBackTo: p.RolledBackTo},
		Removed: p.Removed,
	}, nil
}

// KeepPast stores a revision with the value that was sealed anew. Whatever was kept of it before is removed.
func (b *KV) KeepPast(ctx context.Context, c bus.Change) error {
	raw, err := json.Marshal(pastChange{Revision: c.Revision, Time: c.Time, Actor: c.Actor, Action: c.Action, RolledBackTo: c.RolledBackTo,
		Removed: c.Removed, Value: c.Value})
	if err != nil {
		return fmt.Errorf("keep revision %d of %s: %w", c.Revision, c.Key, err)
	}
	key := b.pastKey(c.Key, c.Revision)
	_, err = withBucket(ctx, b.past, func(ctx context.Context, kv *bus.Bucket) (struct{}, error) {
		if err := b.past.hold.Check(ctx); err != nil {
			return struct{}{}, err
		}
		at, err := kv.Put(ctx, key, raw)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, kv.Forget(ctx, key, at)
	})
	return err
}

// DropPast removes a revision that KeepPast has stored.
func (b *KV) DropPast(ctx context.Context, c bus.Change) error {
	key := b.pastKey(c.Key, c.Revision)
	_, err := withBucket(ctx, b.past, func(ctx context.Context, kv *bus.Bucket) (struct{}, error) {
		if err := b.past.hold.Check(ctx); err != nil {
			return struct{}{}, err
		}
		if err := kv.Delete(ctx, key, 0); err != nil {
			return struct{}{}, err
		}
		last, err := kv.Revision(ctx)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, kv.Forget(ctx, key, last+1)
	})
	return err
}

// Forget removes the values of a key before a revision. See bus.Bucket.Forget.
func (b *KV) Forget(ctx context.Context, key string, before uint64) error {
	_, err := withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) (struct{}, error) {
		if err := b.hold.Check(ctx); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, kv.Forget(ctx, key, before)
	})
	return err
}

// withPast joins the changes of the bucket, newest first, with those that were sealed anew.
func (b *KV) withPast(ctx context.Context, live []bus.Change, keys string, before uint64, limit int) ([]bus.Change, error) {
	past, err := b.Past(ctx, keys)
	if err != nil || len(past) == 0 {
		return live, err
	}
	for _, c := range past {
		same := func(l bus.Change) bool { return l.Revision == c.Revision }
		if (before == 0 || c.Revision < before) && !slices.ContainsFunc(live, same) {
			live = append(live, c)
		}
	}
	slices.SortFunc(live, func(x, y bus.Change) int { return cmp.Compare(y.Revision, x.Revision) })
	return live[:min(limit, len(live))], nil
}

// pastAt returns a revision of a key that was sealed anew, nil if there is none.
func (b *KV) pastAt(ctx context.Context, key string, revision uint64) (*bus.Change, error) {
	if b.past == nil {
		return nil, nil
	}
	e, err := b.past.Get(ctx, b.pastKey(key, revision))
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := b.pastOf(bus.Change{Entry: e})
	return &c, err
}
