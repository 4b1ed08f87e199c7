package revisions

import (
	"context"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Trail notes a change of a bucket in the audit entry of its call, as its revision tells it. revision 0: the newest of the key. A change
// that can't be read again is noted without what it changed.
func (s *Revisions) Trail(ctx context.Context, b *store.KV, key string, revision uint64) {
	t := audit.TrailFrom(ctx)
	resource, ok := resourceOf(b, key)
	if t == nil || !ok {
		return
	}
	noted := audit.Revision{Resource: resource, Revision: revision}
	var change *bus.Change
	if revision > 0 {
		change, _ = b.ChangeAt(ctx, key, revision)
	} else if newest, err := b.Changes(ctx, key, 0, 1); err == nil && len(newest) == 1 {
		change = &newest[0]
	}
	if change == nil {
		t.Changed(noted)
		return
	}
	noted.Revision = change.Revision
	r, err := describe(ctx, b, *change)
	if err != nil {
		t.Changed(noted)
		return
	}
	var changes []audit.Change
	for _, c := range r.GetChanges() {
		changes = append(changes, audit.Change{Path: c.GetPath(), Before: c.GetBefore(), After: c.GetAfter()})
	}
	t.Changed(noted, changes...)
}
