package keys

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// watcher is a process that watches the settings and opens secrets.
type watcher struct {
	name, place string
	keys        []string
}

// Watching notes that a process watches the settings, until done is called.
func (k *Keys) Watching(q *outboundv1.WatchSettingsRequest) (done func()) {
	if len(q.GetSealKeys()) == 0 {
		return func() {}
	}
	w := &watcher{name: q.GetWatcher(), place: q.GetSealPlace(), keys: q.GetSealKeys()}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watchers[w], k.moved = true, time.Now()
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.watchers, w)
		k.moved = time.Now()
	}
}

// waitingFor names the processes that do not read a key from their sealKey.
func (k *Keys) waitingFor(id string) []string {
	var out []string
	if !slices.Contains(k.deps.Sealer.Roots(), id) {
		out = append(out, "config reads "+k.deps.Sealer.Place().String())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for w := range k.watchers {
		if !slices.Contains(w.keys, id) {
			out = append(out, fmt.Sprintf("%s reads %s", w.name, w.place))
		}
	}
	slices.Sort(out)
	if len(k.watchers) == 0 {
		out = append(out, "no sender is connected")
	}
	return slices.Compact(out)
}

// Run carries out rotations until ctx ends, and ends them once all watchers have the new key.
func (k *Keys) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	k.mu.Lock()
	k.start = func(r *rotation) {
		running.Go(func() { k.finish(rpc.WithPrincipal(ctx, r.by), r) })
	}
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.start = nil
		k.mu.Unlock()
	}()
	for ctx.Err() == nil {
		if err := k.look(ctx); err != nil && ctx.Err() == nil {
			k.deps.Logger.WarnContext(ctx, "keyring not read, retrying", telemetry.KeyError, err.Error())
		}
		pause.For(ctx, lookEvery)
	}
}

const (
	// lookEvery is the pause between two looks at the keyring.
	lookEvery = 500 * time.Millisecond
	// settledFor is the default of Deps.SettledFor.
	settledFor = 10 * time.Second
)

// look tells of a rotation that was interrupted, and drops what was handed on once nobody needs it.
func (k *Keys) look(ctx context.Context) error {
	if k.busy() {
		return nil
	}
	ring, err := k.ring(ctx)
	if err != nil || k.busy() {
		return err
	}
	k.mu.Lock()
	run, quiet := k.run, time.Since(k.moved) >= k.deps.SettledFor
	k.mu.Unlock()
	switch {
	case ring.GetNext() != "":
		text := fmt.Sprintf("The rotation of the sealing key to %s was interrupted", ring.GetNext())
		if run != nil && run.err != nil {
			text += ": " + run.err.Error()
		}
		k.deps.Notices.Set(keyNotice, text+". Run outbound keys rotate to continue.")
		return nil
	case len(ring.GetHanded()) == 0, !quiet:
		return nil
	}
	if waiting := k.waitingFor(ring.GetActive()); len(waiting) > 0 {
		k.deps.Notices.Set(keyNotice, fmt.Sprintf("Everything is sealed with the key %s. Put it where these processes read their key, as the "+
			"config service has it: %s.", ring.GetActive(), strings.Join(waiting, "; ")))
		return nil
	}
	if _, err = k.save(ctx, func(r *outboundv1.Keyring) { r.Handed = nil }); err != nil {
		return err
	}
	k.deps.Notices.Clear(keyNotice)
	for _, h := range ring.GetHanded() {
		k.deps.Sealer.Forget(h.GetSealedBy())
	}
	return nil
}

// finish carries a rotation out and notes how it ended.
func (k *Keys) finish(ctx context.Context, r *rotation) {
	k.deps.Logger.InfoContext(ctx, "sealing everything with another key", logkey.KeyID, r.to)
	err := k.carryOut(ctx, r)
	k.mu.Lock()
	r.running, r.err = false, err
	clear(k.resealed)
	k.mu.Unlock()
	if err != nil {
		k.deps.Logger.ErrorContext(ctx, "rotation of the sealing key interrupted", telemetry.KeyError, err.Error())
		return
	}
	k.deps.Notices.Clear(keyNotice)
	k.deps.Logger.InfoContext(ctx, "everything is sealed with another key", logkey.KeyID, r.to, logkey.Sealed, r.resealed.Load())
}

// RotateKeys implements outboundv1.KeyServiceServer.
func (k *Keys) RotateKeys(ctx context.Context, _ *outboundv1.RotateKeysRequest) (*outboundv1.KeyRotation, error) {
	k.begun.Lock()
	defer k.begun.Unlock()
	k.mu.Lock()
	running, start := k.run != nil && k.run.running, k.start
	k.beginning = start != nil && !running
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.beginning = false
		k.mu.Unlock()
	}()
	if start == nil {
		return nil, rpc.Unavailable("the config service is starting or stopping: try again in a moment")
	}
	if !running {
		r, err := k.begin(ctx)
		if err != nil {
			return nil, store.AsStatus(ctx, err)
		}
		r.by, _ = rpc.PrincipalFrom(ctx)
		k.mu.Lock()
		k.run = r
		k.mu.Unlock()
		start(r)
	}
	return k.state(ctx)
}

// busy reports whether a rotation is under way here. What the keyring tells of one counts only if none is, before it is read and after.
func (k *Keys) busy() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.beginning || k.run != nil && k.run.running
}

// state is the last rotation, nil if there was none.
func (k *Keys) state(ctx context.Context) (*outboundv1.KeyRotation, error) {
	running := k.busy()
	ring, err := k.ring(ctx)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	if ring.GetStartTime() == nil {
		return nil, nil
	}
	out := &outboundv1.KeyRotation{To: ring.GetActive(), StartTime: ring.GetStartTime(), EndTime: ring.GetEndTime(), Actor: ring.GetActor()}
	if ring.GetNext() != "" {
		out.From, out.To = ring.GetActive(), ring.GetNext()
	}
	running = k.busy() || running
	k.mu.Lock()
	if k.run != nil && k.run.to == out.GetTo() {
		out.Resealed = k.run.resealed.Load()
		if k.run.err != nil {
			out.Error = k.run.err.Error()
		}
	}
	k.mu.Unlock()
	switch {
	case running:
		out.State = outboundv1.KeyRotation_RUNNING
	case ring.GetNext() != "":
		out.State = outboundv1.KeyRotation_INTERRUPTED
	case len(ring.GetHanded()) > 0:
		out.State, out.WaitingFor = outboundv1.KeyRotation_WAITING, k.waitingFor(out.GetTo())
	default:
		out.State = outboundv1.KeyRotation_DONE
	}
	return out, nil
}

// ListKeys implements outboundv1.KeyServiceServer.
func (k *Keys) ListKeys(ctx context.Context, _ *outboundv1.ListKeysRequest) (*outboundv1.ListKeysResponse, error) {
	rotation, err := k.state(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]*outboundv1.SealingKey{}
	of := func(id string) *outboundv1.SealingKey {
		if all[id] == nil {
			all[id] = &outboundv1.SealingKey{Id: id}
		}
		return all[id]
	}
	s := k.deps.Sealer
	for _, id := range s.Roots() {
		of(id).Place = s.Place().String()
	}
	of(s.Active())
	if rotation.GetFrom() != "" {
		of(rotation.GetFrom())
	}
	err = k.current(ctx, func(_ *store.KV, _ bus.Entry, d document) error {
		for _, x := range d.secrets {
			of(secret.KeyOf(x.value)).Secrets++
		}
		return nil
	})
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	if err := k.countPast(ctx, func(id string) { of(id).PastSecrets++ }); err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	out := &outboundv1.ListKeysResponse{Rotation: rotation}
	for _, id := range slices.Sorted(maps.Keys(all)) {
		key := all[id]
		key.State = use(s, id, rotation)
		out.Keys = append(out.Keys, key)
	}
	slices.SortStableFunc(out.Keys, func(a, b *outboundv1.SealingKey) int { return int(a.GetState()) - int(b.GetState()) })
	return out, nil
}

// use says what a key is used for.
func use(s *secret.Sealer, id string, r *outboundv1.KeyRotation) outboundv1.SealingKey_State {
	unfinished := r.GetState() == outboundv1.KeyRotation_RUNNING || r.GetState() == outboundv1.KeyRotation_INTERRUPTED
	switch {
	case unfinished && id == r.GetTo():
		return outboundv1.SealingKey_NEXT
	case id == s.Active():
		return outboundv1.SealingKey_ACTIVE
	case s.Holds(id), id == secret.WithoutID:
		return outboundv1.SealingKey_OLD
	default:
		return outboundv1.SealingKey_MISSING
	}
}

// countPast calls f with the key of each secret in an earlier revision.
func (k *Keys) countPast(ctx context.Context, f func(id string)) error {
	for _, x := range []struct {
		bucket *store.KV
		keys   string
	}{{k.deps.Settings, store.KeySMTP}, {k.deps.Recipients, store.PrefixRecipient + ">"}} {
		newest := map[string]bool{}
		for before := uint64(0); ; {
			all, err := x.bucket.Changes(ctx, x.keys, before, page)
			if err != nil {
				return err
			}
			for _, c := range all {
				before = c.Revision
				current := !newest[c.Key]
				newest[c.Key] = true
				d, err := decode(x.bucket.Name(), c.Key, c.Value)
				if current || c.Removed || err != nil {
					continue
				}
				for _, s := range d.secrets {
					f(secret.KeyOf(s.value))
				}
			}
			if len(all) < page || before <= 1 {
				break
			}
		}
	}
	return nil
}
