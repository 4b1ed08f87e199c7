package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// TokenPrefix begins every token, so that people and secret scanners know one when they see it.
const TokenPrefix = "obt_"

// tokenBytes of randomness make a token: 256 bits, which need no slow hash and no lock-out.
const tokenBytes = 32

// NewToken makes a token: the prefix and 32 random bytes in URL-safe base64.
func NewToken() string { return TokenPrefix + NewPassword() }

// NewPassword makes a password of 32 random bytes in URL-safe base64.
func NewPassword() string {
	b := make([]byte, tokenBytes)
	// crypto/rand never fails; it ends the program when the system has no randomness.
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// HashToken is the SHA-256 of a token, which is what is stored of it. A token is random enough to need no salt.
func HashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Equal compares two secrets in a time that tells nothing about either, their lengths included.
func Equal(a, b string) bool { return EqualHash(HashToken(a), HashToken(b)) }

// EqualHash compares two hashes in constant time.
func EqualHash(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// LoadOrCreateToken reads the token in the file at path, or makes one and writes it there, readable by its owner alone. Two
// processes that start at once get the same token.
func LoadOrCreateToken(path string) (string, error) {
	token, err := LoadToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	err = createOnce(path, []byte(NewToken()+"\n"))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("create the token file %s: %w", path, err)
	}
	return LoadToken(path)
}

// LoadToken reads the token in the file at path, blanks around it cut. An absent file is fs.ErrNotExist.
func LoadToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("token file %s is empty: delete it to create a new one, or write one line into it", path)
	}
	if strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("token file %s holds more than one word: it must hold one token on one line", path)
	}
	return token, nil
}
