package tlog

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Keys sign checkpoints and verify them. They are kept as lines of text: one key that signs (PRIVATE+KEY+NAME+HASH+KEY), and verifier
// keys of earlier ones (NAME+HASH+KEY), as golang.org/x/mod/sumdb/note has them. Lines that begin with # are comments.
type Keys struct {
	signer    note.Signer
	public    string
	verifiers []note.Verifier
	// known are the verifier keys as text.
	known []string
}

// keyName begins the names of keys, which are the origins of checkpoints.
const keyName = "outbound-history-"

// privateKey begins a line with a key that signs.
const privateKey = "PRIVATE+KEY+"

// NewKey makes a key, as it is kept.
func NewKey() ([]byte, error) {
	const random = 6
	id := make([]byte, random)
	_, _ = rand.Read(id) // crypto/rand.Read never fails
	private, public, err := note.GenerateKey(rand.Reader, keyName+hex.EncodeToString(id))
	if err != nil {
		return nil, fmt.Errorf("make a key of checkpoints: %w", err)
	}
	return fmt.Appendf(nil, "# Signs the checkpoints of the delivery log. Keep it secret. Its verifier key:\n# %s\n%s\n", public, private), nil
}

// ParseKeys reads keys as they are kept.
func ParseKeys(content []byte) (*Keys, error) {
	k := &Keys{}
	for _, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, privateKey):
			if k.signer != nil {
				return nil, errors.New("it holds two keys that sign: keep the newer one, and the verifier key of the other")
			}
			if err := k.sign(line); err != nil {
				return nil, err
			}
		default:
			v, err := note.NewVerifier(line)
			if err != nil {
				return nil, fmt.Errorf("a line is no key: %w: make a key with outbound keys new --checkpoint", err)
			}
			k.verifiers, k.known = append(k.verifiers, v), append(k.known, line)
		}
	}
	if len(k.verifiers) == 0 {
		return nil, errors.New("it holds no key: make one with outbound keys new --checkpoint")
	}
	return k, nil
}

func (k *Keys) sign(line string) error {
	signer, err := note.NewSigner(line)
	if err != nil {
		return fmt.Errorf("the key that signs can't be read: %w", err)
	}
	// The parts are the name, the hash, and in base64 a byte for the algorithm and the seed.
	const parts = 3
	p := strings.SplitN(strings.TrimPrefix(line, privateKey), "+", parts)
	raw, err := base64.StdEncoding.DecodeString(p[len(p)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return errors.New("the key that signs can't be read")
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return errors.New("the key that signs can't be read")
	}
	if k.public, err = note.NewEd25519VerifierKey(signer.Name(), public); err != nil {
		return fmt.Errorf("the key that signs can't be read: %w", err)
	}
	v, err := note.NewVerifier(k.public)
	if err != nil {
		return fmt.Errorf("the key that signs can't be read: %w", err)
	}
	k.signer, k.verifiers, k.known = signer, append(k.verifiers, v), append(k.known, k.public)
	return nil
}

// Public is the verifier key of the key that signs; empty: there is none.
func (k *Keys) Public() string { return k.public }

// Origin is the name of the key that signs.
func (k *Keys) Origin() string { return k.signer.Name() }

// Signs reports whether a key that signs is there.
func (k *Keys) Signs() bool { return k.signer != nil }

// Verifiers are all keys that verify.
func (k *Keys) Verifiers() []string { return slices.Clone(k.known) }
