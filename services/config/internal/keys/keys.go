// Package keys keeps the keys that secrets are sealed with: it checks at the start that they open what is stored, hands new ones on, and
// seals everything with another key while the system runs.
//
// The keyring is a key of the bucket of settings, streamed to all watchers. A rotation goes like this; each step can be repeated:
//
//  1. The new key is stored in the keyring, sealed with the one before, so that everybody who has that one can open what is sealed with the
//     new one. From then on it seals (`next`).
//  2. Each value that holds secrets is sealed anew and written. Its earlier revisions are sealed anew and kept elsewhere (store.KeepPast),
//     and those that the bucket has are removed.
//  3. The new key replaces the old one in the file that `sealKey` names, and the keyring calls it active.
//  4. Once all watchers read the new key from their `sealKey`, it is removed from the keyring. The old key opens nothing from then on.
package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Deps are what keys work with.
type Deps struct {
	Bus *bus.Conn
	// Recipients and Settings are the buckets that hold secrets.
	Recipients, Settings *store.KV
	Sealer               *secret.Sealer
	// SettledFor is how long no watcher may have come or gone before the old key is dropped. Default 10s: watchers that have lost this
	// service come back within that time.
	SettledFor time.Duration
	Notices    *notice.Board
	Logger     *slog.Logger
}

// Keys implements outboundv1.KeyServiceServer.
type Keys struct {
	outboundv1.UnimplementedKeyServiceServer
	deps  Deps
	parts *store.Parts

	// writing is held for reading while a value is prepared and written, so that the active key stays.
	writing sync.RWMutex
	// begun is held while a rotation begins.
	begun sync.Mutex

	mu sync.Mutex
	// run is the rotation that this process carries out or has carried out last.
	run *rotation
	// beginning says that one is about to be carried out.
	beginning bool
	// start starts a rotation in the background, nil before Run.
	start func(r *rotation)
	// watchers are those who watch the settings and open secrets.
	watchers map[*watcher]bool
	// moved is when a watcher came or went last.
	moved time.Time
	// resealed are sealed values with those that have replaced them, while a rotation is under way.
	resealed map[string][]byte
}

// New returns the keys. What is written to the buckets is sealed with the active one from now on.
func New(d Deps) *Keys {
	d.SettledFor = cmp.Or(d.SettledFor, settledFor)
	k := &Keys{deps: d, parts: store.NewParts(d.Settings), watchers: map[*watcher]bool{}, resealed: map[string][]byte{}, moved: time.Now()}
	d.Recipients.KeepPastIn(d.Recipients)
	d.Settings.KeepPastIn(d.Recipients)
	d.Recipients.OnApply(k.prepare)
	d.Settings.OnApply(k.prepare)
	return k
}

// keyNotice is the key of the notice about keys.
const keyNotice = "keys"

// Open reads the keys and the keyring again, and checks that they open what is stored. It is called before anything is changed.
func (k *Keys) Open(ctx context.Context) error {
	if err := k.deps.Sealer.Reload(); err != nil {
		return err
	}
	ring, err := k.ring(ctx)
	if err != nil {
		return err
	}
	k.adopt(ctx, ring)
	use := wanted(ring, k.deps.Sealer)
	if use == "" {
		// A keyset with a new key may have been put there, which others do not have: what seals by now goes on until a rotation.
		if use, err = k.sealedWith(ctx, ring); err != nil {
			return err
		}
	}
	if use != "" {
		if err := k.deps.Sealer.Activate(use); err != nil {
			return fmt.Errorf("%s: %w: secrets are sealed with that key: give it", k.deps.Sealer.Place(), err)
		}
	}
	return k.check(ctx, ring)
}

// adopt takes over the keys of the keyring that can be opened. Those that can't are of no use to this process.
func (k *Keys) adopt(ctx context.Context, ring *outboundv1.Keyring) {
	if ring.GetNext() == "" && k.deps.Sealer.Holds(ring.GetActive()) {
		return // those before it are of no use any more
	}
	for _, h := range ring.GetHanded() {
		if err := k.deps.Sealer.Adopt(h.GetId(), h.GetSealed()); err != nil {
			k.deps.Logger.WarnContext(ctx, "sealing key of the keyring not opened", telemetry.KeyError, err.Error())
		}
	}
}

// wanted is the key that seals by the keyring; empty: the one of the sealer's place.
func wanted(ring *outboundv1.Keyring, s *secret.Sealer) string {
	if ring.GetNext() != "" {
		return ring.GetNext()
	}
	if !s.Holds(ring.GetActive()) {
		return "" // check tells whether that matters
	}
	return ring.GetActive()
}

// check is an error if none of the secrets that are stored can be opened, and none is given up.
func (k *Keys) check(ctx context.Context, ring *outboundv1.Keyring) error {
	opened, unopened, err := k.tryAll(ctx)
	if err != nil {
		return err
	}
	if len(unopened) == 0 {
		return nil
	}
	if opened > 0 || ring.GetGivenUp() {
		k.deps.Notices.Set(keyNotice, fmt.Sprintf("%s can't be opened with the keys of %s: enter these secrets again.",
			texts(unopened), k.deps.Sealer.Place()))
		return nil
	}
	return fmt.Errorf("the sealing key %s of %s opens none of the secrets that are stored: %s: give the key that has sealed them; nothing "+
		"was changed. If that key is lost, give these secrets up with outbound repair --give-up-secrets and enter them again",
		k.deps.Sealer.Root(), k.deps.Sealer.Place(), texts(unopened))
}

// tryAll opens all secrets in use.
func (k *Keys) tryAll(ctx context.Context) (opened int, unopened []lost, err error) {
	err = k.current(ctx, func(_ *store.KV, e bus.Entry, d document) error {
		for _, s := range d.secrets {
			if _, err := k.deps.Sealer.Open(s.value, s.bound); err != nil {
				unopened = append(unopened, lost{document: d.name, path: s.path, key: secret.KeyOf(s.value)})
				continue
			}
			opened++
		}
		return nil
	})
	return opened, unopened, err
}

// current calls f for each value in use that may hold secrets.
func (k *Keys) current(ctx context.Context, f func(b *store.KV, e bus.Entry, d document) error) error {
	entries, err := k.deps.Recipients.List(ctx, store.PrefixRecipient)
	if err != nil {
		return err
	}
	if err := each(k.deps.Recipients, entries, f); err != nil {
		return err
	}
	for _, key := range []string{store.KeySMTP, store.KeyRelayToken} {
		e, err := k.deps.Settings.Get(ctx, key)
		if errors.Is(err, bus.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := each(k.deps.Settings, []bus.Entry{e}, f); err != nil {
			return err
		}
	}
	return nil
}

func each(b *store.KV, entries []bus.Entry, f func(b *store.KV, e bus.Entry, d document) error) error {
	for _, e := range entries {
		d, err := decode(b.Name(), e.Key, e.Value)
		if err != nil {
			continue // what can't be read is told by who reads it
		}
		if err := f(b, e, d); err != nil {
			return err
		}
	}
	return nil
}

// maxTexts is how many secrets a text names.
const maxTexts = 5

func texts(all []lost) string {
	out := make([]string, 0, len(all))
	for _, l := range all[:min(len(all), maxTexts)] {
		out = append(out, l.String())
	}
	if more := len(all) - maxTexts; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}

// ring reads the keyring. It is empty before the first rotation.
func (k *Keys) ring(ctx context.Context) (*outboundv1.Keyring, error) {
	p, _, err := k.parts.Get(ctx, store.KeyKeyring)
	if err != nil {
		return nil, err
	}
	out := p.GetKeyring()
	if out == nil {
		out = &outboundv1.Keyring{}
	}
	_, err = k.deps.Settings.Get(ctx, bus.KeyGivenUp)
	if errors.Is(err, bus.ErrNotFound) {
		return out, nil
	}
	out.GivenUp = err == nil
	return out, err
}

// save changes the keyring.
func (k *Keys) save(ctx context.Context, change func(r *outboundv1.Keyring)) (*outboundv1.Keyring, error) {
	var out *outboundv1.Keyring
	_, err := k.parts.ChangeAs(ctx, store.KeyKeyring, store.ChangeNote{Action: store.ActionResealed},
		func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
			if p.Keyring == nil {
				p.Keyring = &outboundv1.Keyring{}
			}
			change(p.Keyring)
			p.Keyring.GivenUp = false
			out, _ = proto.Clone(p.Keyring).(*outboundv1.Keyring)
			return nil
		})
	return out, err
}
