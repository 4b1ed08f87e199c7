// Package secret makes, keeps and hides secrets: it seals values for storage, makes and compares tokens, and gives a type
// for secrets in memory that never prints.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrSealBroken says that a sealed value cannot be opened: it was sealed with another key or for another place, or changed.
var ErrSealBroken = errors.New("sealed value can't be opened: wrong key, wrong context, or modified")

// Sealer seals and opens values with AES-256-GCM. It may be used by many goroutines.
type Sealer struct{ aead tink.AEAD }

// LoadOrCreateKey reads the key in the file at path, or makes one and writes it there, readable by its owner alone. Two
// processes that start at once get the same key. Without the file, what it sealed is lost.
func LoadOrCreateKey(path string) (*Sealer, error) {
	s, err := LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	content, err := newKeyset()
	if err != nil {
		return nil, err
	}
	if err := createOnce(path, content); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create the key file %s: %w", path, err)
	}
	return LoadKey(path)
}

// LoadKey reads the key in the file at path. An absent file is fs.ErrNotExist; one that others may change is refused.
func LoadKey(path string) (*Sealer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the sealing key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("key file %s is writable by users other than its owner (mode %04o): run chmod 600 on it", path, mode)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the sealing key: %w", err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(content)))
	if err != nil {
		return nil, fmt.Errorf("read the sealing key in %s: not a Tink keyset in JSON: restore the file from a backup: %w", path, err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use the sealing key in %s: %w", path, err)
	}
	return &Sealer{aead: a}, nil
}

// newKeyset makes a keyset with one AES-256-GCM key, in Tink's JSON. A later key may be added to the file by Tink's own tool;
// what the older one sealed can still be opened.
func newKeyset() ([]byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("create a sealing key: %w", err)
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return nil, fmt.Errorf("write a sealing key: %w", err)
	}
	return b.Bytes(), nil
}

// Seal encrypts plain for one place, e.g. "recipient/<id>/http.auth.basic.password": it can be opened for that place alone, so
// that a sealed value moved elsewhere is worth nothing.
func (s *Sealer) Seal(plain []byte, bound string) ([]byte, error) {
	sealed, err := s.aead.Encrypt(plain, []byte(bound))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", bound, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same place. Its error is ErrSealBroken.
func (s *Sealer) Open(sealed []byte, bound string) ([]byte, error) {
	plain, err := s.aead.Decrypt(sealed, []byte(bound))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", bound, ErrSealBroken)
	}
	return plain, nil
}
