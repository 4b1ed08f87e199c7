package session

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is a Store within one process.
type Memory struct {
	mu    sync.Mutex
	kept  map[string]kept
	swept time.Time
}

type kept struct {
	value []byte
	until time.Time
}

// sweepEvery is how often what has run out is dropped.
const sweepEvery = time.Minute

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{kept: map[string]kept{}, swept: time.Now()} }

// Put implements Store.
func (m *Memory) Put(_ context.Context, key string, value []byte, ttl time.Duration) error {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	m.kept[key] = kept{value: slices.Clone(value), until: now.Add(ttl)}
	return nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, key string, ttl time.Duration) ([]byte, error) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.kept[key]
	if !ok || !now.Before(k.until) {
		return nil, ErrNone
	}
	k.until = now.Add(ttl)
	m.kept[key] = k
	return slices.Clone(k.value), nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, key)
	return nil
}

func (m *Memory) sweep(now time.Time) {
	if now.Sub(m.swept) < sweepEvery {
		return
	}
	m.swept = now
	for key, k := range m.kept {
		if !now.Before(k.until) {
			delete(m.kept, key)
		}
	}
}
