package audit

import (
	"context"
	"sync"
)

// Trail collects what a call does, for its entry. Its methods may be called by many goroutines, and on nil.
type Trail struct {
	mu        sync.Mutex
	changes   []Change
	revisions []Revision
	object    string
	actor     string
	action    string
	denied    string
}

type trailKey struct{}

// WithTrail returns a context whose call collects what it does.
func WithTrail(ctx context.Context) (context.Context, *Trail) {
	t := &Trail{}
	return context.WithValue(ctx, trailKey{}, t), t
}

// TrailFrom returns the trail of a call; nil: nobody collects.
func TrailFrom(ctx context.Context) *Trail {
	t, _ := ctx.Value(trailKey{}).(*Trail)
	return t
}

// Changed notes a revision of a resource and what it changed.
func (t *Trail) Changed(r Revision, changes ...Change) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.revisions = append(t.revisions, r)
	for _, c := range changes {
		c.Resource = r.Resource
		t.changes = append(t.changes, c)
	}
}

// About says more exactly what the call is about. Empty values change nothing.
func (t *Trail) About(action, object, actor string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.action, t.object, t.actor = or(action, t.action), or(object, t.object), or(actor, t.actor)
}

// Denied notes that what the call tells of was denied, and why.
func (t *Trail) Denied(reason string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied = or(reason, "denied")
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Fill writes what was collected into an entry. Changes of one resource, which is the entry's object, do not name it.
func (t *Trail) Fill(e *Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Action, e.Object, e.Actor = or(t.action, e.Action), or(t.object, e.Object), or(t.actor, e.Actor)
	if t.denied != "" {
		e.Outcome, e.Reason = Denied, t.denied
	}
	if e.Object == "" && len(t.revisions) > 0 {
		e.Object = t.revisions[0].Resource
	}
	e.Revisions = append(e.Revisions, t.revisions...)
	for _, c := range t.changes {
		if c.Resource == e.Object {
			c.Resource = ""
		}
		e.Changes = append(e.Changes, c)
	}
}
