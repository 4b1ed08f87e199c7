package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
)

// Memory is a store in memory. One goroutine uses it.
type Memory struct {
	entries map[string]bus.Entry
	last    uint64
	now     func() time.Time
}

// NewMemory returns a copy of another store. Writes to the copy do not reach the original. They have the time of now, the clock of the
// original.
func NewMemory(ctx context.Context, from Store, now func() time.Time) (*Memory, error) {
	entries, err := from.List(ctx, "")
	if err != nil {
		return nil, err
	}
	m := &Memory{entries: make(map[string]bus.Entry, len(entries)), now: now}
	for _, e := range entries {
		m.entries[e.Key] = e
		m.last = max(m.last, e.Revision)
	}
	return m, nil
}

// Get implements Store.
func (d *Memory) Get(_ context.Context, key string) (bus.Entry, error) {
	e, ok := d.entries[key]
	if !ok {
		return e, bus.ErrNotFound
	}
	return e, nil
}

// List implements Store.
func (d *Memory) List(_ context.Context, prefix string) ([]bus.Entry, error) {
	var out []bus.Entry
	for key, e := range d.entries {
		if strings.HasPrefix(key, prefix) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b bus.Entry) int { return cmp.Compare(a.Key, b.Key) })
	return out, nil
}

// Apply implements Store.
func (d *Memory) Apply(_ context.Context, m Mutation) (uint64, error) {
	if d.entries[m.Key].Revision != m.Revision {
		return 0, bus.ErrConflict
	}
	if m.Remove {
		delete(d.entries, m.Key)
		return 0, nil
	}
	d.last++
	d.entries[m.Key] = bus.Entry{Key: m.Key, Value: m.Value, Revision: d.last, Time: d.now()}
	return d.last, nil
}
