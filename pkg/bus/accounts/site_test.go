package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// site is a cluster of nats-servers in operator mode, and what Outbound's services have of it.
type site struct {
	t        *testing.T
	dir      string
	confs    []string
	servers  []*server.Server
	url      string
	keys     *accounts.Keys
	operator *accounts.Operator
	resolver *accounts.Resolver
	hashes   map[string]string
}

// newSite starts n servers; one has no cluster.
func newSite(t *testing.T, n int) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "broker"), hashes: map[string]string{}}
	if _, err := accounts.Make(s.dir, filepath.Join(s.dir, "accounts")); err != nil {
		t.Fatal(err)
	}
	s.write(n)
	for i := range s.confs {
		s.servers = append(s.servers, nil)
		s.run(i)
	}
	var err error
	if s.keys, err = accounts.ReadKeys(s.file(accounts.FileAppliances)); err != nil {
		t.Fatal(err)
	}
	core, err := accounts.CoreAccount(s.file(accounts.FileCore))
	if err != nil {
		t.Fatal(err)
	}
	if s.operator, err = accounts.NewOperator(s.file(accounts.FileOperator), s.keys, core); err != nil {
		t.Fatal(err)
	}
	s.resolver, err = accounts.NewResolver(s.context(), bus.Options{URL: s.url, Name: "config"}, s.file(accounts.FileSystem), s.operator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.resolver.Close)
	waittest.Until(t, "all servers to answer", func() bool {
		list, err := s.resolver.List(s.context())
		return err == nil && len(list) == 3 && s.resolver.Servers() == n // SYS, CORE, SIGN_IN
	})
	return s
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }

func (s *site) context() context.Context {
	ctx, cancel := waittest.Context(s.t.Context())
	s.t.Cleanup(cancel)
	return ctx
}

// write writes the configuration of each server.
func (s *site) write(n int) {
	s.t.Helper()
	var clients, between, urls, routes []string
	for i := range n {
		clients, between = append(clients, porttest.Address(s.t)), append(between, porttest.Address(s.t))
		urls, routes = append(urls, "nats://"+clients[i]), append(routes, "nats://"+between[i])
	}
	s.url = strings.Join(urls, ",")
	text, err := os.ReadFile(s.file(accounts.FileConf))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range n {
		own := strings.ReplaceAll(string(text), filepath.Join(s.dir, "accounts"), filepath.Join(s.dir, fmt.Sprint("accounts", i)))
		own += fmt.Sprintf("server_name: n%d\nlisten: %q\njetstream { store_dir: %q, max_file_store: 1TB }\n", i, clients[i],
			filepath.Join(s.dir, fmt.Sprint("data", i)))
		if n > 1 {
			own += fmt.Sprintf("cluster { name: c, listen: %q, routes: [%s] }\n", between[i], strings.Join(routes, ", "))
		}
		s.confs = append(s.confs, s.file(fmt.Sprintf("nats%d.conf", i)))
		if err := os.WriteFile(s.confs[i], []byte(own), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run starts a server on its configuration.
func (s *site) run(i int) {
	s.t.Helper()
	o, err := server.ProcessConfigFile(s.confs[i])
	if err != nil {
		s.t.Fatal(err)
	}
	o.NoSigs, o.NoLog = true, true
	ns, err := server.NewServer(o)
	if err != nil {
		s.t.Fatal(err)
	}
	ns.Start()
	stop := func() { ns.Shutdown(); ns.WaitForShutdown() }
	s.t.Cleanup(stop)
	if !ns.ReadyForConnections(waittest.Limit) {
		s.t.Fatal("the broker is not ready")
	}
	s.servers[i] = ns
}

// responder answers sign-ins until the test ends. It knows the appliances of the site as they are now.
func (s *site) responder() *accounts.Responder {
	s.t.Helper()
	r, err := accounts.NewResponder(s.context(), bus.Options{URL: s.url, Name: "ingest"}, s.keys)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Replace(s.hashes)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := waittest.Receive(s.t, "the end of the responder", ended); err != nil {
			s.t.Error(err)
		}
		r.Close()
	})
	return r
}

// intake answers requests as the ingest service does, with what it was asked for.
func (s *site) intake() {
	s.t.Helper()
	nc, err := nats.Connect(s.url, nats.UserCredentials(s.file(accounts.FileCore)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("outbound.ingest.*.>", func(m *nats.Msg) { _ = m.Respond([]byte(m.Subject)) }); err != nil {
		s.t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// set gives an appliance a password: its account is made, and the one it had before is returned.
func (s *site) set(id, password string) (account accounts.Account) {
	s.t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		s.t.Fatal(err)
	}
	if before, ok := s.hashes[id]; ok {
		if account, err = s.operator.Account(id, before); err != nil {
			s.t.Fatal(err)
		}
	}
	s.hashes[id] = string(hash)
	now, err := s.operator.Account(id, string(hash))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.resolver.Put(s.context(), now); err != nil {
		s.t.Fatal(err)
	}
	return account
}

// client is an appliance's connection, and what it is told besides answers.
type client struct {
	*nats.Conn
	faults chan error
	closed chan struct{}
}

func (s *site) signIn(user, password string) (*client, error) {
	c := &client{faults: make(chan error, 16), closed: make(chan struct{}, 1)}
	var err error
	c.Conn, err = nats.Connect(s.url, nats.UserInfo(user, password), nats.Timeout(waittest.Limit), nats.NoReconnect(),
		nats.ClosedHandler(func(*nats.Conn) { c.closed <- struct{}{} }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.faults <- err }))
	if err == nil {
		s.t.Cleanup(c.Close)
	}
	return c, err
}

func (s *site) mustSignIn(user, password string) *client {
	s.t.Helper()
	c, err := s.signIn(user, password)
	if err != nil {
		s.t.Fatalf("sign in as %s: %v", user, err)
	}
	return c
}

func (s *site) refused(user, password string) {
	s.t.Helper()
	if _, err := s.signIn(user, password); !errors.Is(err, nats.ErrAuthorization) {
		s.t.Errorf("the sign-in as %s was answered %v, want refused", user, err)
	}
}

func (c *client) publishes(t *testing.T, subject string) {
	t.Helper()
	m, err := c.Request(subject, []byte("{}"), waittest.Limit)
	if err != nil || string(m.Data) != subject {
		t.Errorf("a request to %s was answered %v, %v", subject, m, err)
	}
}
