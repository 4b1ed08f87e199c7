package config

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
)

// draft is the content of a bucket in memory. What is written to it is read back from it and goes nowhere else. It is one call's
// own.
type memStore struct {
	entries map[string]bus.Entry
	last    uint64
}

// copied is a bucket that holds what this one holds now, in memory.
func (b *bucket) copied(ctx context.Context) (*bucket, error) {
	entries, err := b.all(ctx, "")
	if err != nil {
		return nil, err
	}
	d := &memStore{entries: make(map[string]bus.Entry, len(entries))}
	for _, e := range entries {
		d.entries[e.Key] = e
		d.last = max(d.last, e.Revision)
	}
	out := newBucket(b.conn, b.name)
	out.mem = d
	return out, nil
}

func (d *memStore) read(key string) (bus.Entry, error) {
	e, ok := d.entries[key]
	if !ok {
		return e, bus.ErrNotFound
	}
	return e, nil
}

func (d *memStore) all(prefix string) []bus.Entry {
	var out []bus.Entry
	for key, e := range d.entries {
		if strings.HasPrefix(key, prefix) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b bus.Entry) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func (d *memStore) write(key string, value []byte, revision uint64) (uint64, error) {
	if d.entries[key].Revision != revision {
		return 0, bus.ErrConflict
	}
	d.last++
	d.entries[key] = bus.Entry{Key: key, Value: value, Revision: d.last, Time: time.Now()}
	return d.last, nil
}

func (d *memStore) remove(key string, revision uint64) error {
	e, ok := d.entries[key]
	if ok && revision != 0 && e.Revision != revision {
		return bus.ErrConflict
	}
	delete(d.entries, key)
	return nil
}
