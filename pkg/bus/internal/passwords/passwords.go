// Package passwords checks the passwords that appliances sign in to the broker with, without a slow hash for each connection.
package passwords

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Set holds the hashes of all appliances.
type Set struct {
	// hashing bounds how many slow hashes run at once, so that a storm of connections leaves a processor for events.
	hashing chan struct{}
	// guesses bounds the failed sign-ins.
	guesses *guesses
	// key makes the fingerprints in proven. It never leaves the process.
	key [32]byte

	mu     sync.RWMutex
	hashes map[string]string
	// changed is closed and replaced at each change.
	changed chan struct{}
	// proven holds the fingerprint of the password that was last found right, so that a reconnect costs no slow hash.
	proven map[string][32]byte
}

// New returns an empty set.
func New() *Set {
	s := &Set{
		hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), guesses: newGuesses(guessesBurst + runtime.GOMAXPROCS(0)),
		hashes: map[string]string{}, proven: map[string][32]byte{}, changed: make(chan struct{}),
	}
	_, _ = rand.Read(s.key[:])
	return s
}

// Check returns an error if a hash is not one of bcrypt.
func Check(hash string) error {
	if _, err := bcrypt.Cost([]byte(hash)); err != nil {
		return fmt.Errorf("password hash: %w", err)
	}
	return nil
}

// Replace sets the bcrypt hashes by the names of the appliances, and returns those that are gone or have another one.
func (s *Set) Replace(hashes map[string]string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changed []string
	for id, hash := range s.hashes {
		if hashes[id] != hash {
			delete(s.proven, id)
			changed = append(changed, id)
		}
	}
	s.hashes = maps.Clone(hashes)
	close(s.changed)
	s.changed = make(chan struct{})
	return changed
}

// Is reports whether an appliance has this hash now.
func (s *Set) Is(id, hash string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hashes[id] == hash
}

// patience is how long a password that is not right waits for a change of the hashes.
const patience = 250 * time.Millisecond

// Await returns the hash that the password fits, or nothing. A password that was right before costs no slow hash; others from an address
// that has guessed wrong too often are not tried. A client may be a moment ahead of what is known: of an appliance that was just added, or
// has a new password, the change is waited for, for a quarter of a second at most and no longer than until done.
func (s *Set) Await(done <-chan struct{}, address, id, password string) string {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		s.mu.RLock()
		changed := s.changed
		s.mu.RUnlock()
		hash, tried := s.prove(address, id, password)
		if hash != "" || !tried {
			return hash
		}
		select {
		case <-changed:
		case <-late.C:
			return ""
		case <-done:
			return ""
		}
	}
}

// prove returns the hash that the password fits, or nothing, and whether the password was tried.
func (s *Set) prove(address, id, password string) (right string, tried bool) {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(id + "\x00" + password))
	fingerprint := [32]byte(mac.Sum(nil))
	hash, proven := s.knows(id, fingerprint)
	if hash == "" || proven {
		return hash, true
	}
	s.hashing <- struct{}{}
	defer func() { <-s.hashing }()
	// Of many connections that come at once the first has shown by now that the password is right.
	if hash, proven = s.knows(id, fingerprint); hash == "" || proven {
		return hash, true
	}
	if !s.guesses.allow(address, id, time.Now()) {
		return "", false
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return "", true
	}
	s.guesses.right(address, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hashes[id] == hash {
		s.proven[id] = fingerprint
	}
	return hash, true
}

// knows returns the hash of an appliance, empty if it is unknown, and whether the password of a fingerprint was right before.
func (s *Set) knows(id string, fingerprint [32]byte) (hash string, right bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	proven, before := s.proven[id]
	return s.hashes[id], before && hmac.Equal(proven[:], fingerprint[:])
}
