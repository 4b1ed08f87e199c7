package deploytest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"

	"github.com/outbound-events/outbound/pkg/waittest"
)

const (
	corePassword = "core_for-this_test"
	answerTime   = waittest.Limit
)

// broker starts nats-server from deploy/nats/nats-static.conf with the appliances given.
func broker(t *testing.T, appliances string) *server.Server {
	t.Helper()
	return static(t, appliances, t.TempDir())
}

// static is broker with a store of its own.
func static(t *testing.T, appliances, store string) *server.Server {
	t.Helper()
	t.Setenv("NATS_CORE_PASSWORD", corePassword)
	return brokerOf(t, copyConf(t, "nats-static.conf", "appliances.conf", appliances), store)
}

// brokerOf starts nats-server from a copy of a file of deploy/nats, on a port that is free.
func brokerOf(t *testing.T, conf, store string) *server.Server {
	t.Helper()
	o, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatalf("read a copy of deploy/nats/%s: %v", filepath.Base(conf), err)
	}
	if !o.SyncAlways {
		t.Errorf("deploy/nats/%s does not sync always: accepted events would not be on disk", filepath.Base(conf))
	}
	o.Host, o.Port, o.HTTPPort, o.StoreDir, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, 0, store, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(answerTime) {
		t.Fatal("the broker is not ready")
	}
	return s
}

// copyConf copies a file of deploy/nats into a folder of the test, beside what it includes.
func copyConf(t *testing.T, name, includes, included string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy/nats", name))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{name: string(text), includes: included} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, name)
}

// account is an appliance's block as `outbound appliances nats-config` writes it.
func account(t *testing.T, id, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
APPLIANCE_%[1]s {
  users: [ { user: "%[1]s", password: "%[2]s", permissions: { publish: ["outbound.ingest.%[1]s.>"], subscribe: {
    allow: [">"], deny: ["outbound.>", "$SYS.>", "$JS.>", "$KV.>", "$O.>", "$SRV.>", "_R_.>"] } } } ]
  imports: [ { service: { account: CORE, subject: "outbound.ingest.%[1]s.>" } } ]
  limits: { max_connections: 1000, max_subscriptions: 1000 }
}
`, id, hash)
}

// client is a connection, and what it is told besides answers.
type client struct {
	*nats.Conn
	faults chan error
}

func connect(t *testing.T, s *server.Server, user, password string) *client {
	t.Helper()
	c := &client{faults: make(chan error, 16)}
	var err error
	c.Conn, err = nats.Connect(s.ClientURL(), nats.UserInfo(user, password), nats.Timeout(waittest.Limit),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.faults <- err }))
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestBrokerKeepsAppliancesApart(t *testing.T) {
	s := broker(t, account(t, "a-1", "one")+account(t, "a-2", "two"))
	core := connect(t, s, "outbound.core", corePassword)
	if _, err := core.Subscribe("outbound.ingest.*.*", func(m *nats.Msg) { _ = m.Respond([]byte(m.Subject)) }); err != nil {
		t.Fatal(err)
	}
	if err := core.Flush(); err != nil {
		t.Fatal(err)
	}
	one, two := connect(t, s, "a-1", "one"), connect(t, s, "a-2", "two")
	overheard, err := two.SubscribeSync("_INBOX.>")
	if err != nil {
		t.Fatal(err)
	}

	m, err := one.Request("outbound.ingest.a-1.support_conference_end", []byte("{}"), answerTime)
	if err != nil || string(m.Data) != "outbound.ingest.a-1.support_conference_end" {
		t.Fatalf("an appliance's own subject answered %v, %v", m, err)
	}
	refused := map[string]string{
		"another's subject":  "outbound.ingest.a-2.support_conference_end",
		"JetStream":          "$JS.API.INFO",
		"a stream's subject": "outbound.events.a-1.support_conference_end",
	}
	for what, subject := range refused {
		if err := one.PublishRequest(subject, one.NewInbox(), nil); err != nil {
			t.Fatal(err)
		}
		if err := waittest.Receive(t, what+" to be refused", one.faults); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v, want it refused", what, err)
		}
	}
	if err := two.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := overheard.Pending(); n != 0 {
		t.Errorf("another appliance overheard %d replies", n)
	}
}

func TestCoreAccountHasJetStream(t *testing.T) {
	s := broker(t, "# none")
	js, err := connect(t, s, "outbound.core", corePassword).JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AccountInfo(); err != nil {
		t.Errorf("JetStream in the core account: %v", err)
	}
	if _, err := nats.Connect(s.ClientURL()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a client without a name was answered %v, want refused", err)
	}
}
