// Package session keeps who is signed in to the console: in Redis, which all consoles share, or in the memory of one process.
// What it keeps may be lost at any time; people then sign in again.
package session

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/process"
)

// ErrNone says that session not found: it never was, has ended, or was lost.
var ErrNone = errors.New("session not found")

// Store keeps values for a while. Memory and Redis hold to one contract.
type Store interface {
	// Put keeps a value under a key for ttl.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Get returns the value of a key and keeps it for ttl from now. Without one its error is ErrNone.
	Get(ctx context.Context, key string, ttl time.Duration) ([]byte, error)
	// Delete forgets a key. One that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Options bound a session.
type Options struct {
	// Idle is how long a session lives without a request. Default 12h.
	Idle time.Duration `yaml:"idle"`
	// Absolute is how long a session lives at most, however much it is used. Default 168h.
	Absolute time.Duration `yaml:"absolute"`
}

// DefaultOptions are 12 h without a request and 7 days at most.
func DefaultOptions() Options { return Options{Idle: 12 * time.Hour, Absolute: 7 * 24 * time.Hour} }

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.Idle < time.Minute {
		f.Add("idle", "must be at least 1m, e.g. 12h")
	}
	if o.Absolute < o.Idle {
		f.Add("absolute", "must not be shorter than idle, e.g. 168h")
	}
	return f.Err()
}

// Sessions begins, finds and ends sessions. The store sees neither their ids nor what they hold: a session is kept under the
// hash of its id, sealed with a key made of it.
type Sessions struct {
	store Store
	o     Options
}

// New makes sessions that are kept in a store.
func New(store Store, o Options) *Sessions { return &Sessions{store: store, o: o} }

// idBytes of randomness make an id: 256 bits.
const idBytes = 32

// stampBytes is the length of the time of the end, which stands before what a session holds.
const stampBytes = 8

// Start begins a session that holds data, and returns its id, which only the browser keeps.
func (s *Sessions) Start(ctx context.Context, data []byte) (id string, err error) {
	raw := make([]byte, idBytes)
	// crypto/rand never fails; it ends the program when the system has no randomness.
	_, _ = rand.Read(raw)
	id = base64.RawURLEncoding.EncodeToString(raw)
	plain := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(s.o.Absolute).Unix())) // #nosec G115 -- after 1970
	key := keyOf(id)
	seal, err := sealer(id)
	if err != nil {
		return "", err
	}
	sealed := seal.Seal(nil, nil, append(plain, data...), []byte(key))
	if err := s.store.Put(ctx, key, sealed, s.o.Idle); err != nil {
		return "", fmt.Errorf("start a session: %w", err)
	}
	return id, nil
}

// Find returns what the session with an id holds and lets it live on. Its error is ErrNone, or says why that cannot be told now.
func (s *Sessions) Find(ctx context.Context, id string) ([]byte, error) {
	if raw, err := base64.RawURLEncoding.DecodeString(id); err != nil || len(raw) != idBytes {
		return nil, ErrNone
	}
	key := keyOf(id)
	sealed, err := s.store.Get(ctx, key, s.o.Idle)
	if err != nil {
		return nil, fmt.Errorf("look a session up: %w", err)
	}
	seal, err := sealer(id)
	if err != nil {
		return nil, err
	}
	plain, err := seal.Open(nil, nil, sealed, []byte(key))
	if err != nil || len(plain) < stampBytes {
		return nil, ErrNone
	}
	if end := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0); !time.Now().Before(end) { // #nosec G115 -- we wrote it
		return nil, errors.Join(ErrNone, s.store.Delete(ctx, key))
	}
	return plain[stampBytes:], nil
}

// End ends a session. One that is not there is no error.
func (s *Sessions) End(ctx context.Context, id string) error {
	if err := s.store.Delete(ctx, keyOf(id)); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// keyOf is where a session is kept: whoever reads the store learns no id from it.
func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "outbound:session:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// sealer seals what a session holds, with a key that only the holder of its id has.
func sealer(id string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(id), nil, "outbound session", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("create the key of a session: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("create the key of a session: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("create the key of a session: %w", err)
	}
	return seal, nil
}
