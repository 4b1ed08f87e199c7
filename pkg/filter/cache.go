package filter

import (
	"sync"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Cache keeps the filters of recipients compiled, each until its expression changes. It may be used by many goroutines.
type Cache struct {
	compiler *Compiler

	mu   sync.RWMutex
	kept map[string]*entry
}

type entry struct {
	expression string
	filter     *Filter
	err        error
}

// NewCache makes an empty cache.
func NewCache() (*Cache, error) {
	c, err := NewCompiler()
	if err != nil {
		return nil, err
	}
	return &Cache{compiler: c, kept: map[string]*entry{}}, nil
}

// Matches says whether an event passes a recipient's filter; without one every event does. An error means that it does not.
func (c *Cache) Matches(r *recipient.Recipient, e *event.Event) (bool, error) {
	if r.Filter == "" {
		return true, nil
	}
	k := c.of(r)
	if k.err != nil {
		return false, k.err
	}
	return k.filter.Matches(e)
}

func (c *Cache) of(r *recipient.Recipient) *entry {
	c.mu.RLock()
	k := c.kept[r.ID]
	c.mu.RUnlock()
	if k != nil && k.expression == r.Filter {
		return k
	}
	k = &entry{expression: r.Filter}
	k.filter, k.err = c.compiler.Compile(r.Filter)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[r.ID] = k
	return k
}

// Keep forgets the recipients that are not known any more.
func (c *Cache) Keep(known func(id string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.kept {
		if !known(id) {
			delete(c.kept, id)
		}
	}
}
