package watch

import "sync"

// snapshot holds the latest state for any number of readers. Each reader sees the newest state when it looks; none waits for a slow one.
type snapshot[T any] struct {
	mu    sync.Mutex
	value T
	set   bool
	// changed is closed and replaced at each change.
	changed chan struct{}
}

func newSnapshot[T any]() *snapshot[T] { return &snapshot[T]{changed: make(chan struct{})} }

// store replaces the state. The value must not be changed afterwards.
func (b *snapshot[T]) store(v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(v)
}

// update replaces the state by what f makes of it, if there is a state and f reports that it is another one.
func (b *snapshot[T]) update(f func(T) (T, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.set {
		return
	}
	if v, other := f(b.value); other {
		b.put(v)
	}
}

// put sets the state and wakes the readers. The caller holds mu.
func (b *snapshot[T]) put(v T) {
	b.value, b.set = v, true
	close(b.changed)
	b.changed = make(chan struct{})
}

// load returns the state, whether there is one yet, and a channel that is closed at the next change.
func (b *snapshot[T]) load() (v T, ok bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, b.set, b.changed
}
