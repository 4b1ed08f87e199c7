package accounts

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nkeys"
)

// secretSize is the size of the secret in bytes.
const secretSize = 32

// Keys are the keys of the appliances' accounts, and of the account that they sign in to. All are derived from one secret, which the
// config and the ingest services have.
type Keys struct {
	secret []byte
	// signIn is the account in which nats-server asks who signs in, responder the user that answers, and sealing the key that
	// requests, which hold passwords, are encrypted for.
	signIn, responder, sealing nkeys.KeyPair
}

// NewSecret returns a new secret as text for a file.
func NewSecret() string {
	b := make([]byte, secretSize)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// ReadKeys reads the file with the secret.
func ReadKeys(path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key of the appliances' accounts: %w", err)
	}
	k, err := ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("read the key of the appliances' accounts from %s: %w", path, err)
	}
	return k, nil
}

// ParseKeys derives the keys from the secret.
func ParseKeys(text string) (*Keys, error) {
	secret, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) != secretSize {
		return nil, errors.New("it is not a key: make one with outbound broker make")
	}
	k := &Keys{secret: secret}
	if k.signIn, err = k.pair(nkeys.PrefixByteAccount, "sign-in"); err != nil {
		return nil, err
	}
	if k.responder, err = k.pair(nkeys.PrefixByteUser, "responder"); err != nil {
		return nil, err
	}
	k.sealing, err = k.pair(nkeys.PrefixByteCurve, "sealing")
	return k, err
}

// pair derives a key (RFC 5869).
func (k *Keys) pair(kind nkeys.PrefixByte, purpose string) (nkeys.KeyPair, error) {
	raw, err := hkdf.Key(sha256.New, k.secret, nil, "outbound accounts: "+purpose, secretSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", purpose, err)
	}
	if kind == nkeys.PrefixByteCurve {
		pair, err := nkeys.CreateCurveKeysWithRand(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("derive the key of %s: %w", purpose, err)
		}
		return pair, nil
	}
	pair, err := nkeys.FromRawSeed(kind, raw)
	if err != nil {
		return nil, fmt.Errorf("derive the key of %s: %w", purpose, err)
	}
	return pair, nil
}

// appliance is the key of an appliance's account. It depends on the password: with a new one the appliance has another account, and who
// is let in by what was valid before is let in nowhere.
func (k *Keys) appliance(id, passwordBcrypt string) (nkeys.KeyPair, error) {
	return k.pair(nkeys.PrefixByteAccount, "appliance "+id+" "+passwordBcrypt)
}

// public is the public key of a pair that is held whole.
func public(pair nkeys.KeyPair) (string, error) {
	p, err := pair.PublicKey()
	if err != nil {
		return "", fmt.Errorf("read a public key: %w", err)
	}
	return p, nil
}
