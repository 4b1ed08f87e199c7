package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// rotation is one that this process carries out. The mutex of Keys guards running and err.
type rotation struct {
	to       string
	resealed atomic.Int64
	running  bool
	// by is who asked for it.
	by  rpc.Principal
	err error
}

const (
	reasonSameKey   = "KEY_NOT_CHANGED"
	reasonKeyAbsent = "KEY_NOT_HELD"
)

// begin finds the key to seal with, and has everybody know it. From then on it seals.
func (k *Keys) begin(ctx context.Context) (*rotation, error) {
	ring, err := k.ring(ctx)
	if err != nil {
		return nil, err
	}
	to := ring.GetNext()
	var handed *outboundv1.HandedKey
	if to == "" {
		from, err := k.sealedWith(ctx, ring)
		if err != nil {
			return nil, err
		}
		if to, handed, err = k.nextKey(from); err != nil {
			return nil, err
		}
		actor := rpc.Actor(ctx)
		ring, err = k.save(ctx, func(r *outboundv1.Keyring) {
			r.Active, r.Next, r.Actor = from, to, actor
			r.StartTime, r.EndTime = timestamppb.New(k.deps.Bus.Now()), nil
			if handed != nil {
				r.Handed = append(r.Handed, handed)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	k.adopt(ctx, ring)
	k.writing.Lock()
	defer k.writing.Unlock()
	if err := k.deps.Sealer.Activate(to); err != nil {
		return nil, rpc.FailedPrecondition(reasonKeyAbsent, fmt.Sprintf("the rotation to the key %s can't continue: %v: give that key to %s",
			to, err, k.deps.Sealer.Place()))
	}
	return &rotation{to: to, running: true}, nil
}

// sealedWith is the key that the secrets are sealed with by now: by the keyring, or by what is stored.
func (k *Keys) sealedWith(ctx context.Context, ring *outboundv1.Keyring) (string, error) {
	if k.deps.Sealer.Holds(ring.GetActive()) {
		return ring.GetActive(), nil
	}
	from := k.deps.Sealer.Active()
	err := k.current(ctx, func(_ *store.KV, _ bus.Entry, d document) error {
		for _, s := range d.foreign(from) {
			if id := secret.KeyOf(s.value); k.deps.Sealer.Holds(id) {
				from = id
			}
		}
		return nil
	})
	return from, err
}

// nextKey is a new key, or the one that was put in the sealer's place, sealed for those who have the key before.
func (k *Keys) nextKey(from string) (to string, handed *outboundv1.HandedKey, err error) {
	s := k.deps.Sealer
	if err := s.Reload(); err != nil {
		return "", nil, rpc.FailedPrecondition(reasonKeyAbsent, err.Error())
	}
	if to = s.Root(); to != from {
		b, err := s.HandRoot(from)
		if err != nil {
			return "", nil, rpc.FailedPrecondition(reasonKeyAbsent, fmt.Sprintf("%v: %s must hold both keys, the new one first: outbound keys new "+
				"--after OLD", err, s.Place()))
		}
		return to, &outboundv1.HandedKey{Id: to, Sealed: b, SealedBy: from}, nil
	}
	if !s.Writable() {
		return "", nil, rpc.FailedPrecondition(reasonSameKey, fmt.Sprintf("%s still has the key %s, and this process can't write there: make a "+
			"keyset with a new key and this one (outbound keys new --after OLD), put it there, and rotate again", s.Place(), from))
	}
	to, b, err := s.Hand()
	if err != nil {
		return "", nil, err
	}
	return to, &outboundv1.HandedKey{Id: to, Sealed: b, SealedBy: s.Root()}, nil
}

// passes is how often everything is looked through, if values appear meanwhile.
const passes = 3

// carryOut seals everything anew, and then keeps the new key in the place of the old one.
func (k *Keys) carryOut(ctx context.Context, r *rotation) error {
	if err := storecheck.BeginForgetting(ctx, k.deps.Bus); err != nil {
		return err
	}
	for pass := 0; ; pass++ {
		found, unopened, err := k.pass(ctx, r)
		if err != nil {
			return err
		}
		if found == 0 && len(unopened) == 0 {
			break
		}
		ring, err := k.ring(ctx)
		if err != nil {
			return err
		}
		if found == 0 && ring.GetGivenUp() {
			break
		}
		if found == 0 {
			return fmt.Errorf("%s can't be opened with any key at hand: enter these secrets again, or give them up with outbound repair "+
				"--give-up-secrets", texts(unopened))
		}
		if pass == passes {
			return fmt.Errorf("%d values were still sealed with another key after %d passes", found, passes)
		}
	}
	if s := k.deps.Sealer; s.Root() != r.to && s.Place().File() != "" {
		if err := s.Keep(r.to); err != nil {
			return fmt.Errorf("everything is sealed with the key %s, but it could not be kept: %w", r.to, err)
		}
	}
	_, err := k.save(ctx, func(ring *outboundv1.Keyring) {
		ring.Active, ring.Next, ring.EndTime = r.to, "", timestamppb.New(k.deps.Bus.Now())
	})
	if err != nil {
		return err
	}
	return storecheck.EndForgetting(ctx, k.deps.Bus)
}

// pass looks through all values once and seals anew those that another key has sealed. It returns how many there were, and what no key
// opens.
func (k *Keys) pass(ctx context.Context, r *rotation) (found int, unopened []lost, err error) {
	for _, x := range []struct {
		bucket *store.KV
		keys   string
	}{
		{k.deps.Settings, store.KeySMTP}, {k.deps.Settings, store.KeyRelayToken}, {k.deps.Recipients, store.PrefixRecipient + ">"},
	} {
		keys, u, err := k.foreignKeys(ctx, x.bucket, x.keys)
		if err != nil {
			return found, unopened, err
		}
		unopened = append(unopened, u...)
		for _, key := range keys {
			n, err := k.resealKey(ctx, r, x.bucket, key)
			if err != nil {
				return found, unopened, fmt.Errorf("seal %s anew: %w", key, err)
			}
			found += n
		}
	}
	return found, unopened, nil
}

// page is how many changes are read at once.
const page = 200

// foreignKeys are the keys with a value, in use or earlier, that holds a secret which another key has sealed and which can be opened.
func (k *Keys) foreignKeys(ctx context.Context, b *store.KV, pattern string) (keys []string, unopened []lost, err error) {
	look := func(c bus.Change) error {
		n, u, err := k.foreignIn(b, c)
		if n > 0 && !slices.Contains(keys, c.Key) {
			keys = append(keys, c.Key)
		}
		unopened = append(unopened, u...)
		return err
	}
	for before := uint64(0); ; {
		live, err := b.Live(ctx, pattern, before, page)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range live {
			if err := look(c); err != nil {
				return nil, nil, err
			}
			before = c.Revision
		}
		if len(live) < page || before <= 1 {
			break
		}
	}
	past, err := b.Past(ctx, pattern)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range past {
		if err := look(c); err != nil {
			return nil, nil, err
		}
	}
	return keys, unopened, nil
}

// foreignIn counts the secrets of a change that another key has sealed, those that can be opened.
func (k *Keys) foreignIn(b *store.KV, c bus.Change) (n int, unopened []lost, err error) {
	if c.Removed {
		return 0, nil, nil
	}
	d, err := decode(b.Name(), c.Key, c.Value)
	if err != nil {
		return 0, nil, err
	}
	foreign := d.foreign(k.deps.Sealer.Active())
	if len(foreign) == 0 {
		return 0, nil, nil
	}
	changed, unopened, err := k.reseal(d)
	return len(changed), unopened, err
}

// resealKey seals the values of a key anew, earlier ones first, and returns how many secrets it sealed. The bucket's own earlier values are
// removed once they are kept elsewhere.
func (k *Keys) resealKey(ctx context.Context, r *rotation, b *store.KV, key string) (found int, err error) {
	live, err := b.Live(ctx, key, 0, store.MaxPast+1)
	if err != nil || len(live) == 0 {
		return 0, err
	}
	newest := live[0]
	inUse, _, err := k.foreignIn(b, newest)
	if err != nil {
		return 0, err
	}
	before := newest.Revision
	if inUse > 0 {
		before++ // it is written again as another revision
	} else {
		live = live[1:]
	}
	past, err := b.Past(ctx, key)
	if err != nil {
		return 0, err
	}
	if key != store.KeyRelayToken {
		found, err = k.keepPast(ctx, r, b, append(past, live...))
		if err != nil {
			return found, err
		}
	}
	if inUse > 0 {
		if err := writeAgain(ctx, b, newest.Entry); err != nil {
			return found, err
		}
		found += inUse
		r.resealed.Add(int64(inUse))
	}
	return found, b.Forget(ctx, key, before)
}

// keepPast keeps earlier revisions of a key sealed anew, the newest so many of them.
func (k *Keys) keepPast(ctx context.Context, r *rotation, b *store.KV, all []bus.Change) (found int, err error) {
	slices.SortFunc(all, func(x, y bus.Change) int { return cmp.Compare(x.Revision, y.Revision) })
	all = slices.CompactFunc(all, func(x, y bus.Change) bool { return x.Revision == y.Revision })
	for i, c := range all {
		if i < len(all)-store.MaxPast {
			if err := b.DropPast(ctx, c); err != nil {
				return found, err
			}
			continue
		}
		if !c.Removed {
			d, err := decode(b.Name(), c.Key, c.Value)
			if err != nil {
				return found, err
			}
			changed, _, err := k.reseal(d)
			if err != nil {
				return found, err
			}
			if c.Value, err = proto.Marshal(d.message); err != nil {
				return found, fmt.Errorf("encode revision %d of %s: %w", c.Revision, d.name, err)
			}
			found += len(changed)
			r.resealed.Add(int64(len(changed)))
		}
		if err := b.KeepPast(ctx, c); err != nil {
			return found, err
		}
	}
	return found, nil
}

// writeAgain writes the value of a key again, unless it has changed: the write seals it anew.
func writeAgain(ctx context.Context, b *store.KV, e bus.Entry) error {
	_, err := b.Apply(ctx, store.Mutation{Key: e.Key, Value: e.Value, Revision: e.Revision,
		Note: store.ChangeNote{Action: store.ActionResealed}})
	if errors.Is(err, bus.ErrConflict) {
		return nil // somebody has written it meanwhile, sealed anew
	}
	return err
}
