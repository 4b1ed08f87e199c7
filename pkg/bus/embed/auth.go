package embed

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/bcrypt"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/secret"
)

// Appliance is an appliance that may connect: its id is the user name.
type Appliance struct {
	ID string
	// PasswordBcrypt is the bcrypt hash of its password.
	PasswordBcrypt string
}

// authenticator decides who may connect, and as whom.
type authenticator struct {
	server   *server.Server
	password string
	// known is closed at the first SetAppliances, closing when the server stops.
	known     chan struct{}
	closing   chan struct{}
	closeOnce sync.Once
	// hashing bounds how many slow hashes run at once, so that a storm of connections leaves a processor for events.
	hashing chan struct{}
	// key makes the fingerprints in proven. It never leaves the process.
	key [32]byte

	// mu is held for reading while a connection is let in, so that SetAppliances sees every connection that an old password
	// has opened.
	mu     sync.RWMutex
	warned bool
	hashes map[string]string
	// proven holds the fingerprint of the password that was last found right, so that a reconnect costs no slow hash.
	proven map[string][32]byte
}

func newAuthenticator(password string) *authenticator {
	a := &authenticator{
		password: password, known: make(chan struct{}), closing: make(chan struct{}),
		hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), hashes: map[string]string{}, proven: map[string][32]byte{},
	}
	_, _ = rand.Read(a.key[:])
	return a
}

func (a *authenticator) close() { a.closeOnce.Do(func() { close(a.closing) }) }

// Check is called by the broker for each connection.
func (a *authenticator) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT {
		return false
	}
	o := c.GetOpts()
	if o.Username == CoreUser {
		return a.admitCore(c, o.Password)
	}
	// A refusal now would be final for many clients; soon it will be known.
	select {
	case <-a.known:
	case <-a.closing:
		return false
	}
	return a.admitAppliance(c, o.Username, o.Password)
}

func (a *authenticator) admitCore(c server.ClientAuthentication, password string) bool {
	if !secret.Equal(password, a.password) {
		return false
	}
	account, err := a.server.LookupAccount(coreAccount)
	if err != nil {
		return false
	}
	c.RegisterUser(&server.User{Username: CoreUser, Account: account})
	return true
}

func (a *authenticator) admitAppliance(c server.ClientAuthentication, id, password string) bool {
	hash := a.proves(id, password)
	if hash == "" {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.hashes[id] != hash { // revoked or rotated while the password was checked
		return false
	}
	account, err := a.server.LookupAccount(accountOf(id))
	if err != nil {
		return false
	}
	c.RegisterUser(&server.User{Username: id, Account: account, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{bus.ApplianceSubjects(id)}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	}})
	return true
}

// proves gives the hash that the password fits, or nothing.
func (a *authenticator) proves(id, password string) string {
	mac := hmac.New(sha256.New, a.key[:])
	mac.Write([]byte(id + "\x00" + password))
	fingerprint := [32]byte(mac.Sum(nil))
	a.mu.RLock()
	hash, known := a.hashes[id]
	proven, before := a.proven[id]
	a.mu.RUnlock()
	if !known {
		return ""
	}
	if before && hmac.Equal(proven[:], fingerprint[:]) {
		return hash
	}
	a.hashing <- struct{}{}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	<-a.hashing
	if err != nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hashes[id] == hash {
		a.proven[id] = fingerprint
	}
	return hash
}

func accountOf(appliance string) string { return "APPLIANCE_" + appliance }

// SetAppliances says which appliances may connect from now on: all of them, each time. Connections of an appliance that is
// gone or has another password are closed before it returns.
func (s *Server) SetAppliances(appliances []Appliance) error {
	hashes := make(map[string]string, len(appliances))
	for _, x := range appliances {
		if !event.ValidAppliance(x.ID) {
			return fmt.Errorf("add appliance %q: it is not an appliance id", x.ID)
		}
		if _, err := bcrypt.Cost([]byte(x.PasswordBcrypt)); err != nil {
			return fmt.Errorf("add appliance %s: password hash: %w", x.ID, err)
		}
		hashes[x.ID] = x.PasswordBcrypt
	}
	for id := range hashes {
		if err := s.ensureAccount(id); err != nil {
			return err
		}
	}
	return s.auth.replace(hashes)
}

// ensureAccount makes the account of an appliance. It stays until the server stops, for nats-server forgets none; without a
// password nobody can use it.
func (s *Server) ensureAccount(id string) error {
	core, err := s.ns.LookupAccount(coreAccount)
	if err != nil {
		return fmt.Errorf("look up account %s: %w", coreAccount, err)
	}
	account, err := s.ns.RegisterAccount(accountOf(id))
	if errors.Is(err, server.ErrAccountExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create an account for appliance %s: %w", id, err)
	}
	if err := account.AddServiceImport(core, bus.IngestSubjectOf(id, "*"), ""); err != nil {
		return fmt.Errorf("import the ingest service for appliance %s: %w", id, err)
	}
	return nil
}

func (a *authenticator) replace(hashes map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for id, hash := range a.hashes {
		if hashes[id] != hash {
			delete(a.proven, id)
			errs = append(errs, a.disconnect(id))
		}
	}
	a.hashes = hashes
	if !a.warned {
		a.warned = true
		close(a.known)
	}
	return errors.Join(errs...)
}

// disconnect closes every connection of an appliance.
func (a *authenticator) disconnect(id string) error {
	list, err := a.server.Connz(&server.ConnzOptions{Account: accountOf(id), Limit: math.MaxInt32, State: server.ConnOpen})
	if err != nil {
		return fmt.Errorf("list the connections of appliance %s: %w", id, err)
	}
	for _, c := range list.Conns {
		// The only error is that the connection has gone by itself.
		_ = a.server.DisconnectClientByID(c.Cid)
	}
	return nil
}
