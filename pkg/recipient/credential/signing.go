package credential

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// How the secrets of Standard Webhooks begin: one both sides know, the private and the public half of a key pair.
const (
	signingPrefix = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"
)

// IsEd25519Secret reports whether a signing secret is written as the private half of a key pair.
func IsEd25519Secret(s string) bool { return strings.HasPrefix(s, privatePrefix) }

// ParseSigningSecret reads a secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
func ParseSigningSecret(s string) ([]byte, error) {
	key, err := decodeSecret(s, signingPrefix)
	if err != nil {
		return nil, err
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("has %d bytes: use 24 to 64", len(key))
	}
	return key, nil
}

// FormatSigningSecret writes a key as a secret of Standard Webhooks.
func FormatSigningSecret(key []byte) string {
	return signingPrefix + base64.StdEncoding.EncodeToString(key)
}

// ParseEd25519Secret reads the private half of a key pair of Standard Webhooks: `whsk_` and, in base64, either the 64 bytes
// of an ed25519 private key, its public half last, or its 32-byte seed alone.
func ParseEd25519Secret(s string) (ed25519.PrivateKey, error) {
	key, err := decodeSecret(s, privatePrefix)
	if err != nil {
		return nil, err
	}
	switch len(key) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(key), nil
	case ed25519.PrivateKeySize:
		pair := ed25519.NewKeyFromSeed(key[:ed25519.SeedSize])
		if !bytes.Equal(pair, key) {
			return nil, errors.New("is not an ed25519 key pair: its last 32 bytes are not the public key of its first 32")
		}
		return pair, nil
	default:
		return nil, fmt.Errorf("has %d bytes: use the 64 bytes of an ed25519 private key, or its 32-byte seed", len(key))
	}
}

// FormatEd25519Secret writes the private half of a key pair, all 64 bytes, as Standard Webhooks does.
func FormatEd25519Secret(key ed25519.PrivateKey) string {
	return privatePrefix + base64.StdEncoding.EncodeToString(key)
}

// FormatEd25519Public writes the public half of a key pair, which receivers verify with, as Standard Webhooks does.
func FormatEd25519Public(key ed25519.PrivateKey) string {
	return publicPrefix + base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

func decodeSecret(s, prefix string) ([]byte, error) {
	text, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return nil, errors.New("must start with " + prefix)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		// The decoder's error is not passed on: it tells characters of the secret.
		return nil, errors.New("must be base64 after " + prefix)
	}
	return key, nil
}
