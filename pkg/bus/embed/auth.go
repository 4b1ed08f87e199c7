package embed

import (
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/internal/passwords"
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
	server   atomic.Pointer[server.Server]
	password string
	// known are the appliances with their passwords.
	known *passwords.Set

	// mu is held for reading while a connection is let in, so that SetAppliances sees every connection that an old password
	// has opened.
	mu   sync.RWMutex
	gate *gate
}

// gate is what appliances wait at that connect before the server has their accounts: after its start and after each new start of it.
type gate struct {
	// known is closed once the server has the accounts, closing when it stops.
	known, closing         chan struct{}
	knownOnce, closingOnce sync.Once
	// inside are the connections that are checked.
	inside atomic.Int32
}

func newGate() *gate { return &gate{known: make(chan struct{}), closing: make(chan struct{})} }

func (g *gate) open()  { g.knownOnce.Do(func() { close(g.known) }) }
func (g *gate) close() { g.closingOnce.Do(func() { close(g.closing) }) }

func newAuthenticator(password string) *authenticator {
	return &authenticator{password: password, gate: newGate(), known: passwords.New()}
}

// close has those go that wait, because the server stops.
func (a *authenticator) close() { a.waiting().close() }

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
	g := a.waiting()
	g.inside.Add(1)
	defer g.inside.Add(-1)
	select {
	case <-g.known:
	case <-g.closing:
		a.hangUp(c)
		return false
	}
	return a.admitAppliance(g, c, o.Username, o.Password)
}

// addressOf is where a connection comes from, without the port.
func addressOf(c server.ClientAuthentication) string {
	remote := c.RemoteAddress()
	if remote == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(remote.String())
	if err != nil {
		return remote.String()
	}
	return host
}

// hangUp closes a connection without a word: a client that is refused twice gives up for good, one that is cut off comes back.
func (a *authenticator) hangUp(c server.ClientAuthentication) {
	remote, ok := c.RemoteAddress().(*net.TCPAddr)
	if !ok {
		return
	}
	ns := a.server.Load()
	list, err := ns.Connz(&server.ConnzOptions{Limit: math.MaxInt32, State: server.ConnOpen})
	if err != nil {
		return
	}
	for _, x := range list.Conns {
		if x.Port == remote.Port && remote.IP.Equal(net.ParseIP(x.IP)) {
			// The only error is that the connection has gone by itself.
			_ = ns.DisconnectClientByID(x.Cid)
		}
	}
}

func (a *authenticator) waiting() *gate {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.gate
}

// forget has appliances wait until the server that is started next has their accounts.
func (a *authenticator) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gate = newGate()
}

func (a *authenticator) admitCore(c server.ClientAuthentication, password string) bool {
	if !secret.Equal(password, a.password) {
		return false
	}
	account, err := a.server.Load().LookupAccount(coreAccount)
	if err != nil {
		return false
	}
	c.RegisterUser(&server.User{Username: CoreUser, Account: account})
	return true
}

func (a *authenticator) admitAppliance(g *gate, c server.ClientAuthentication, id, password string) bool {
	hash := a.known.Await(g.closing, addressOf(c), id, password)
	if hash == "" {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if !a.known.Is(id, hash) { // revoked or rotated while the password was checked
		return false
	}
	account, err := a.server.Load().LookupAccount(accountOf(id))
	if err != nil {
		return false
	}
	c.RegisterUser(&server.User{Username: id, Account: account, Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{bus.ApplianceSubjects(id)}},
		// A client may have any inbox of its own: nobody else is in its account.
		Subscribe: &server.SubjectPermission{Allow: []string{">"}, Deny: bus.ApplianceDenied()},
	}})
	return true
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
		if err := passwords.Check(x.PasswordBcrypt); err != nil {
			return fmt.Errorf("add appliance %s: %w", x.ID, err)
		}
		hashes[x.ID] = x.PasswordBcrypt
	}
	s.life.Lock()
	defer s.life.Unlock()
	s.appliances = appliances
	if s.ns.Load() == nil {
		return nil // the next start takes them
	}
	return s.setAccounts(hashes)
}

// setAccounts makes the accounts that are missing and lets these appliances in.
func (s *Server) setAccounts(hashes map[string]string) error {
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
	ns := s.ns.Load()
	core, err := ns.LookupAccount(coreAccount)
	if err != nil {
		return fmt.Errorf("look up account %s: %w", coreAccount, err)
	}
	account, err := ns.RegisterAccount(accountOf(id))
	if errors.Is(err, server.ErrAccountExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create an account for appliance %s: %w", id, err)
	}
	ns.UpdateAccountClaims(account, s.o.claims(id))
	if err := account.AddServiceImport(core, bus.ApplianceSubjects(id), ""); err != nil {
		return fmt.Errorf("import the ingest service for appliance %s: %w", id, err)
	}
	return nil
}

func (a *authenticator) replace(hashes map[string]string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, id := range a.known.Replace(hashes) {
		errs = append(errs, a.disconnect(id))
	}
	a.gate.open()
	return errors.Join(errs...)
}

// disconnect closes every connection of an appliance.
func (a *authenticator) disconnect(id string) error {
	list, err := a.server.Load().Connz(&server.ConnzOptions{Account: accountOf(id), Limit: math.MaxInt32, State: server.ConnOpen})
	if err != nil {
		return fmt.Errorf("list the connections of appliance %s: %w", id, err)
	}
	for _, c := range list.Conns {
		// The only error is that the connection has gone by itself.
		_ = a.server.Load().DisconnectClientByID(c.Cid)
	}
	return nil
}
