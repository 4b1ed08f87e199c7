// Package secret makes, keeps and hides secrets: it seals values for storage, makes and compares tokens, and gives a type
// for secrets in memory that never prints.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// ErrSealBroken says that a sealed value cannot be opened: it was sealed with another key or for another place, or changed.
var ErrSealBroken = errors.New("sealed value can't be opened: wrong key, wrong context, or modified")

// Sealer seals and opens values with AES-256-GCM. It may be used by many goroutines. Its keys are those of its place, the root, and those
// that were adopted. See Adopt for how keys change while it is in use.
type Sealer struct {
	place Place
	// made says that the key was made by this process.
	made bool

	mu     sync.RWMutex
	root   *keys
	others []*keys
	active *keys
	// changed is closed and replaced when there are other keys.
	changed chan struct{}
}

// LoadOrCreateKey reads the key in the file at path, or makes one and writes it there, readable by its owner alone. Two
// processes that start at once get the same key. Without the file, what it sealed is lost.
func LoadOrCreateKey(path string) (*Sealer, error) {
	s, err := LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	content, err := NewKeyset()
	if err != nil {
		return nil, err
	}
	err = createOnce(path, content)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create the key file %s: %w", path, err)
	}
	made := err == nil
	if s, err = LoadKey(path); err == nil {
		s.made = made
	}
	return s, err
}

// LoadKey reads the key in the file at path. An absent file is fs.ErrNotExist; one that others may change is refused.
func LoadKey(path string) (*Sealer, error) { return FilePlace(path).Load() }

// Load reads the key that is kept in a place.
func (p Place) Load() (*Sealer, error) {
	content, err := p.Read()
	if err != nil {
		return nil, fmt.Errorf("read the sealing key: %w", err)
	}
	k, err := readKeys(content, p.String())
	if err != nil {
		return nil, err
	}
	return &Sealer{place: p, root: k, active: k, changed: make(chan struct{})}, nil
}

// Place is where the root is kept.
func (s *Sealer) Place() Place { return s.place }

// Made reports whether this process has made the key, because there was none.
func (s *Sealer) Made() bool { return s.made }

// Seal encrypts plain for one place, e.g. "recipient/<id>/http.auth.basic.password": it can be opened for that place alone, so
// that a sealed value moved elsewhere is worth nothing.
func (s *Sealer) Seal(plain []byte, bound string) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.active.seal(plain, bound)
}

// SealByRoot is Seal with the key that is kept in the sealer's place, whichever is active.
func (s *Sealer) SealByRoot(plain []byte, bound string) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.root.seal(plain, bound)
}

func (k *keys) seal(plain []byte, bound string) ([]byte, error) {
	sealed, err := k.aead.Encrypt(plain, []byte(bound))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", bound, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same place. Its error is ErrSealBroken.
func (s *Sealer) Open(sealed []byte, bound string) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, k := range s.held() {
		if plain, err := k.aead.Decrypt(sealed, []byte(bound)); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("open %s, sealed with key %s, with the keys %s of %s: %w", bound, KeyOf(sealed), listed(s.ids()), s.place,
		ErrSealBroken)
}

// held are all keysets. The caller holds mu.
func (s *Sealer) held() []*keys { return append([]*keys{s.root}, s.others...) }

func (s *Sealer) ids() (out []string) {
	for _, k := range s.held() {
		for _, id := range k.ids {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// Holds reports whether a key is at hand.
func (s *Sealer) Holds(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Contains(s.ids(), id)
}

// Active is the id of the key that seals, Root that of the key that is kept in the sealer's place, Roots those of all keys there.
func (s *Sealer) Active() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.active.primary
}

// Root is the id of the key by which the sealer's place seals.
func (s *Sealer) Root() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.root.primary
}

// Roots are the ids of all keys in the sealer's place.
func (s *Sealer) Roots() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.root.ids)
}

// Changed is closed when there are other keys than now.
func (s *Sealer) Changed() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changed
}

// stir wakes who waits for Changed. The caller holds mu.
func (s *Sealer) stir() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// handedOn is what a key is bound to that is sealed with another key.
func handedOn(id string) string { return "keyring/" + id }

// Hand makes a new key and returns its id and itself, sealed by the root: whoever holds the root can adopt it. It is adopted here.
func (s *Sealer) Hand() (id string, sealed []byte, err error) {
	content, err := NewKeyset()
	if err != nil {
		return "", nil, err
	}
	k, err := readKeys(content, "memory")
	if err != nil {
		return "", nil, err
	}
	if sealed, err = s.SealByRoot(content, handedOn(k.primary)); err != nil {
		return "", nil, err
	}
	s.add(k)
	return k.primary, sealed, nil
}

// HandRoot is the root's own key, sealed with another key that is held: whoever holds that one can adopt the root.
func (s *Sealer) HandRoot(by string) (sealed []byte, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k, err := s.sealingWith(by)
	if err != nil {
		return nil, fmt.Errorf("hand on the key %s: %w", s.root.primary, err)
	}
	return k.seal(s.root.content, handedOn(s.root.primary))
}

// Adopt opens a key that Hand or HandRoot has sealed and keeps it in memory, so that what it seals can be opened. A key that is at hand
// already is no error. If the key can't be opened, its place is read again: it may hold the key by now.
func (s *Sealer) Adopt(id string, sealed []byte) error {
	if s.Holds(id) {
		return nil
	}
	content, err := s.Open(sealed, handedOn(id))
	if err != nil {
		if again := s.Reload(); again != nil {
			return errors.Join(err, again)
		}
		if s.Holds(id) {
			return nil
		}
		return err
	}
	k, err := readKeys(content, "the keyring")
	if err != nil {
		return err
	}
	s.add(k)
	return nil
}

func (s *Sealer) add(k *keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = append(s.others, k)
	s.stir()
}

// Activate has a key seal from now on.
func (s *Sealer) Activate(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.sealingWith(id)
	if err == nil {
		s.active = k
	}
	return err
}

// sealingWith is a keyset that seals with a key. The caller holds mu.
func (s *Sealer) sealingWith(id string) (*keys, error) {
	for _, k := range s.held() {
		if slices.Contains(k.ids, id) {
			return k.sealingWith(id)
		}
	}
	return nil, fmt.Errorf("the key %s is not at hand, only %s of %s", id, listed(s.ids()), s.place)
}

// Reload reads the place again. Keys that it no longer holds stay in memory, so that what is on its way can be opened.
func (s *Sealer) Reload() error {
	content, err := s.place.Read()
	if err != nil {
		return fmt.Errorf("read the sealing key again: %w", err)
	}
	k, err := readKeys(content, s.place.String())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.install(k)
	return nil
}

// install makes a keyset the root. The caller holds mu.
func (s *Sealer) install(k *keys) {
	before := s.root
	if bytes.Equal(before.content, k.content) {
		return
	}
	s.others = slices.DeleteFunc(s.others, func(o *keys) bool { return o.primary == k.primary })
	s.root, s.others = k, append(s.others, before)
	s.stir()
}

// Writable reports whether the place of the root is a file that Keep can replace.
func (s *Sealer) Writable() bool {
	path := s.place.File()
	if path == "" {
		return false
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return false
	}
	return errors.Join(f.Close(), os.Remove(f.Name())) == nil
}

// Keep writes a key that is at hand to the place of the root, in place of what it holds, and makes it the root. The file is there whole
// and on disk, with the mode that it had.
func (s *Sealer) Keep(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.held(), func(k *keys) bool { return k.primary == id })
	if at < 0 {
		return fmt.Errorf("keep the key %s: it is not at hand", id)
	}
	k, path := s.held()[at], s.place.File()
	if path == "" {
		return fmt.Errorf("keep the key %s: %s can't be written", id, s.place)
	}
	if err := replaceFile(path, k.content); err != nil {
		return fmt.Errorf("keep the key %s in %s: %w", id, path, err)
	}
	s.install(k)
	return nil
}

// Forget drops a key from memory; the root stays. If the key was active, the root is from now on.
func (s *Sealer) Forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active.primary == id {
		s.active = s.root
	}
	s.others = slices.DeleteFunc(s.others, func(k *keys) bool { return k.primary == id })
}
