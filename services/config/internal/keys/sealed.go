package keys

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// sealed is a secret within a stored value.
type sealed struct {
	// path names it, e.g. http.auth.basic.password; bound is what it is bound to.
	path, bound string
	value       []byte
	// set replaces it.
	set func([]byte)
}

// document is a stored value that may hold secrets.
type document struct {
	// name is what people call it, e.g. recipients/crm.
	name    string
	message proto.Message
	secrets []sealed
}

// decode returns the document that a key holds. Keys that hold no secrets give one without.
func decode(bucket, key string, value []byte) (document, error) {
	id, isRecipient := strings.CutPrefix(key, store.PrefixRecipient)
	switch {
	case bucket == bus.BucketRecipients && isRecipient:
		r := &outboundv1.StoredRecipient{}
		d := document{name: "recipients/" + id, message: r}
		if err := proto.Unmarshal(value, r); err != nil {
			return d, fmt.Errorf("read %s: %w", d.name, err)
		}
		d.fromMap(r.GetSealedSecrets(), func(path string) string { return credential.SecretBinding(id, path) })
		return d, nil
	case bucket == bus.BucketSettings && key == store.KeySMTP:
		p := &outboundv1.WatchSettingsResponse{}
		d := document{name: "settings/smtp", message: p}
		if err := proto.Unmarshal(value, p); err != nil {
			return d, fmt.Errorf("read %s: %w", d.name, err)
		}
		if len(p.GetSealedSmtpPassword()) > 0 {
			d.secrets = append(d.secrets, sealed{path: credential.SecretSMTPPassword, bound: credential.SecretSMTPPassword,
				value: p.GetSealedSmtpPassword(), set: func(b []byte) { p.SealedSmtpPassword = b }})
		}
		d.fromMap(p.GetSealedSmtpSecrets(), func(path string) string { return path })
		return d, nil
	case bucket == bus.BucketSettings && key == store.KeyRelayToken:
		t := &outboundv1.StoredRelayToken{}
		d := document{name: "the relay's refresh token", message: t}
		if err := proto.Unmarshal(value, t); err != nil {
			return d, fmt.Errorf("read %s: %w", d.name, err)
		}
		if len(t.GetSealed()) > 0 {
			d.secrets = append(d.secrets, sealed{path: credential.SecretRelayRefresh, bound: credential.SecretRelayRefresh,
				value: t.GetSealed(), set: func(b []byte) { t.Sealed = b }})
		}
		return d, nil
	}
	return document{}, nil
}

func (d *document) fromMap(m map[string][]byte, bound func(path string) string) {
	for _, path := range slices.Sorted(maps.Keys(m)) {
		if len(m[path]) > 0 {
			d.secrets = append(d.secrets, sealed{path: path, bound: bound(path), value: m[path], set: func(b []byte) { m[path] = b }})
		}
	}
}

// foreign are the secrets that another key than the named one has sealed.
func (d *document) foreign(id string) (out []sealed) {
	for _, s := range d.secrets {
		if secret.KeyOf(s.value) != id {
			out = append(out, s)
		}
	}
	return out
}

// lost is a secret that no key at hand opens.
type lost struct{ document, path, key string }

func (l lost) String() string {
	return fmt.Sprintf("%s of %s (sealed with key %s)", l.path, l.document, l.key)
}

// reseal seals the secrets of a document with the active key, those that another key has sealed. What no key opens stays as it is.
func (k *Keys) reseal(d document) (changed map[string][]byte, unopened []lost, err error) {
	changed = map[string][]byte{}
	for _, s := range d.foreign(k.deps.Sealer.Active()) {
		plain, err := k.deps.Sealer.Open(s.value, s.bound)
		if errors.Is(err, secret.ErrSealBroken) {
			unopened = append(unopened, lost{document: d.name, path: s.path, key: secret.KeyOf(s.value)})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		next, err := k.again(s, plain)
		if err != nil {
			return nil, nil, err
		}
		s.set(next)
		changed[s.path] = s.value
	}
	return changed, unopened, nil
}

// again seals a secret anew. Revisions that hold the same sealed value get the same new one: they are compared by it, and the relay's
// refresh token is known by it.
func (k *Keys) again(s sealed, plain []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if next, ok := k.resealed[string(s.value)]; ok && secret.KeyOf(next) == k.deps.Sealer.Active() {
		return next, nil
	}
	next, err := k.deps.Sealer.Seal(plain, s.bound)
	if err == nil {
		k.resealed[string(s.value)] = next
	}
	return next, err
}

// prepare seals anew what a write of another part of this service takes over from a stored value. It is called for each write; while one
// is under way, the active key stays.
func (k *Keys) prepare(ctx context.Context, b *store.KV, m store.Mutation) (value []byte, done func(), err error) {
	k.writing.RLock()
	defer func() {
		if err != nil {
			k.writing.RUnlock()
		}
	}()
	d, err := decode(b.Name(), m.Key, m.Value)
	if err != nil || len(d.foreign(k.deps.Sealer.Active())) == 0 {
		return m.Value, k.writing.RUnlock, err
	}
	changed, _, err := k.reseal(d)
	if err != nil {
		return nil, nil, err
	}
	if typed, ok := changed[credential.SecretRelayRefresh]; ok && m.Key == store.KeySMTP {
		if err := k.relayTokenFollows(ctx, typed, d); err != nil {
			return nil, nil, err
		}
	}
	value, err = proto.Marshal(d.message)
	if err != nil {
		return nil, nil, fmt.Errorf("encode %s: %w", d.name, err)
	}
	return value, k.writing.RUnlock, nil
}

// relayTokenFollows has the refresh token that replaces the one in the settings know that one as it is sealed anew, before it is stored.
func (k *Keys) relayTokenFollows(ctx context.Context, typed []byte, d document) error {
	kv := k.deps.Settings
	for {
		e, err := kv.Get(ctx, store.KeyRelayToken)
		if errors.Is(err, bus.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		t := &outboundv1.StoredRelayToken{}
		if err := proto.Unmarshal(e.Value, t); err != nil {
			return fmt.Errorf("read the relay's refresh token: %w", err)
		}
		was := sha256.Sum256(typed)
		p, _ := d.message.(*outboundv1.WatchSettingsResponse)
		is := sha256.Sum256(p.GetSealedSmtpSecrets()[credential.SecretRelayRefresh])
		switch {
		case bytes.Equal(t.GetResealedSha256(), is[:]):
			return nil
		case bytes.Equal(t.GetResealedSha256(), was[:]):
			t.SettingsSha256 = was[:]
		case !bytes.Equal(t.GetSettingsSha256(), was[:]):
			return nil // it is of other settings
		}
		t.ResealedSha256 = is[:]
		raw, err := proto.Marshal(t)
		if err != nil {
			return fmt.Errorf("encode the relay's refresh token: %w", err)
		}
		if _, err = kv.ApplyPrepared(ctx, store.Mutation{Key: e.Key, Value: raw, Revision: e.Revision}); !errors.Is(err, bus.ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		store.Backoff(ctx)
	}
}
