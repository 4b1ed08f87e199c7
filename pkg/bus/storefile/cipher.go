package storefile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrKey says that a store can't be opened with the key that was given, or without one.
var ErrKey = errors.New("the broker's store can't be opened with this key")

// fileKey holds the key of what is beside it, sealed with the key of the store.
const fileKey = "meta.key"

// opener opens what nats-server encrypts with the cipher AES: settings and states of consumers with AES-GCM, blocks of messages with
// AES-CTR, each with a key of its own, which is sealed with AES-GCM. Nonces have 16 bytes and stand before what they belong to.
type opener struct{ key, account string }

// sealedBy is the cipher that the keys of a context are sealed with.
func (o *opener) sealedBy(context string) (cipher.AEAD, error) {
	h := hmac.New(sha256.New, []byte(o.key))
	h.Write([]byte(o.account))
	h.Write([]byte(context))
	return gcm(h.Sum(nil))
}

func gcm(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithNonceSize(b, aes.BlockSize)
}

var errSealed = errors.New("can't be decrypted")

// open decrypts what a cipher has sealed.
func open(a cipher.AEAD, b []byte) ([]byte, error) {
	if len(b) < a.NonceSize() {
		return nil, errSealed
	}
	plain, err := a.Open(nil, b[:a.NonceSize()], b[a.NonceSize():], nil)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// keyIn reads a key file of a context.
func (o *opener) keyIn(path, context string) (key, nonce []byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	a, err := o.sealedBy(context)
	if err != nil {
		return nil, nil, err
	}
	if key, err = open(a, b); err != nil {
		return nil, nil, err
	}
	return key, b[:a.NonceSize()], nil
}

// within decrypts a file beside the key file in a folder. Without an opener, or if it is nil, content is what it is.
func (o *opener) within(dir, context string, content []byte) ([]byte, error) {
	if o == nil {
		return content, nil
	}
	key, _, err := o.keyIn(filepath.Join(dir, fileKey), context)
	if err != nil {
		return nil, err
	}
	a, err := gcm(key)
	if err != nil {
		return nil, err
	}
	return open(a, content)
}

// block decrypts a block of messages, or encrypts it: both are the same.
func (o *opener) block(b block, stream string, content []byte) ([]byte, error) {
	if o == nil || len(content) == 0 {
		return content, nil
	}
	key, nonce, err := o.keyIn(b.keyPath(), fmt.Sprintf("%s:%d", stream, b.index))
	if err != nil {
		return nil, err
	}
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(content))
	cipher.NewCTR(c, nonce).XORKeyStream(out, content)
	return out, nil
}

// keyPath is the file with the key of a block.
func (b block) keyPath() string { return strings.TrimSuffix(b.path, ".blk") + ".key" }

// CheckKey is ErrKey, with what to do, if the store in a folder can't be opened with the key in the options: it is encrypted with another
// key, or encrypted and there is none, or not encrypted and there is one. A store that does not exist yet can be opened with any key.
func CheckKey(o Options) error {
	folders, err := os.ReadDir(o.folder())
	if errors.Is(err, fs.ErrNotExist) || err != nil && o.Key == "" {
		return nil // who opens the store tells what is wrong with it
	}
	if err != nil {
		return fmt.Errorf("read the broker's store: %w", err)
	}
	var plain, opened, closed []string
	for _, f := range folders {
		if !f.IsDir() || f.Name()[0] == '.' {
			continue
		}
		dir := filepath.Join(o.folder(), f.Name())
		_, noKey := os.Stat(filepath.Join(dir, fileKey))
		meta, _ := os.ReadFile(filepath.Join(dir, fileMeta)) // one that is missing is found by Inspect
		switch {
		case noKey != nil && json.Valid(meta):
			plain = append(plain, f.Name())
		case noKey != nil:
			continue // it is damaged
		default:
			x := &opener{key: o.Key, account: o.Account}
			if _, _, err := x.keyIn(filepath.Join(dir, fileKey), f.Name()); err == nil {
				opened = append(opened, f.Name())
				continue
			}
			closed = append(closed, f.Name())
		}
	}
	slices.Sort(closed)
	switch {
	case o.Key == "" && len(closed) > 0:
		return fmt.Errorf("%w: %s is encrypted, and no key is given: give the key that it was made with; nothing was changed", ErrKey, o.Dir)
	case o.Key != "" && len(plain) > 0:
		return fmt.Errorf("%w: %s is not encrypted (%s), and a store in use can't be: take a backup (outbound backup --deliveries), "+
			"restore it into a new data directory with the key; nothing was changed", ErrKey, o.Dir, strings.Join(plain, ", "))
	case o.Key != "" && len(closed) > 0 && len(opened) == 0:
		return fmt.Errorf("%w: %s is encrypted with another key: give the key that it was made with; nothing was changed", ErrKey, o.Dir)
	}
	return nil
}

// opener is nil without a key.
func (o Options) opener() *opener {
	if o.Key == "" {
		return nil
	}
	return &opener{key: o.Key, account: o.Account}
}
