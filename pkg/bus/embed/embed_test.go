package embed_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/crypto/bcrypt"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) {
	waittest.VerifyTestMain(m)
}

func start(t *testing.T, dir string) *embed.Server {
	t.Helper()
	s, err := embed.Start(embed.Options{StoreDir: dir, Host: "127.0.0.1", Port: -1, SyncAlways: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func allow(t *testing.T, s *embed.Server, pairs ...string) {
	t.Helper()
	var list []embed.Appliance
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, embed.Appliance{ID: pairs[i], PasswordBcrypt: hashOf(t, pairs[i+1])})
	}
	if err := s.SetAppliances(list); err != nil {
		t.Fatal(err)
	}
}

// client is an appliance's connection as any stock client makes it, and what it is told besides answers.
type client struct {
	*nats.Conn
	errs   chan error
	closed chan struct{}
}

func connect(s *embed.Server, user, password string) (*client, error) {
	c := &client{errs: make(chan error, 16), closed: make(chan struct{})}
	var once sync.Once
	var err error
	c.Conn, err = nats.Connect(s.Addr(), nats.UserInfo(user, password), nats.NoReconnect(), nats.Timeout(waittest.Limit),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.errs <- err }),
		nats.ClosedHandler(func(*nats.Conn) { once.Do(func() { close(c.closed) }) }))
	return c, err
}

func mustConnect(t *testing.T, s *embed.Server, user, password string) *client {
	t.Helper()
	c, err := connect(s, user, password)
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	t.Cleanup(c.Close)
	return c
}

func core(t *testing.T, s *embed.Server) *bus.Conn {
	t.Helper()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	c, err := bus.Connect(ctx, bus.Options{User: embed.CoreUser, Password: s.CorePassword(), InProcess: s, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func echo(t *testing.T, c *bus.Conn) {
	t.Helper()
	svc, err := micro.AddService(c.IntakeConn(), micro.Config{Name: "ingest", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	handler := micro.HandlerFunc(func(r micro.Request) { _ = r.Respond([]byte(r.Subject())) })
	if err := svc.AddEndpoint("ingest", handler, micro.WithEndpointSubject(bus.IngestSubject)); err != nil {
		t.Fatal(err)
	}
	if err := c.IntakeConn().Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestAnApplianceReachesTheIntakeAndNothingElse(t *testing.T) {
	s := start(t, t.TempDir())
	allow(t, s, "a-1", "one", "a-2", "two")
	c := core(t, s)
	if err := c.EnsureStreams(t.Context(), bus.DefaultStreamOptions()); err != nil {
		t.Fatal(err)
	}
	echo(t, c)
	one, two := mustConnect(t, s, "a-1", "one"), mustConnect(t, s, "a-2", "two")
	spy, err := two.SubscribeSync("_INBOX.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := two.Flush(); err != nil {
		t.Fatal(err)
	}
	reply, err := one.Request("outbound.ingest.a-1.some_type", []byte("x"), waittest.Limit)
	if err != nil || string(reply.Data) != "outbound.ingest.a-1.some_type" {
		t.Fatalf("own subject: %v", err)
	}
	for _, subject := range []string{"outbound.ingest.a-2.some_type", "outbound.events.a-1.x", "$JS.API.INFO", "$JS.API.STREAM.NAMES",
		"$KV.outbound_settings.smtp", "$SRV.PING", "$SYS.REQ.SERVER.PING", "outbound.replay.r", "_INBOX.x"} {
		if err := one.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, one, subject)
	}
	for _, subject := range []string{">", "outbound.>", "$SYS.>", "_R_.>", "outbound.ingest.a-1.x"} {
		if _, err := one.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		refused(t, one, subject)
	}
	// What the spy had seen of all that would come before the reply to its own request.
	if _, err := two.Request("outbound.ingest.a-2.own", nil, waittest.Limit); err != nil {
		t.Fatal(err)
	}
	if m, err := spy.NextMsg(waittest.Limit); err != nil || string(m.Data) != "outbound.ingest.a-2.own" {
		t.Errorf("another appliance saw %v, %v", m, err)
	}
}

func refused(t *testing.T, c *client, subject string) {
	t.Helper()
	if err := waittest.Receive(t, subject+" to be refused", c.errs); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("%s: %v", subject, err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	s := start(t, t.TempDir())
	allow(t, s, "a-1", "one", "core", "c")
	for _, c := range [][2]string{{"", ""}, {"a-1", ""}, {"a-1", "two"}, {"a-3", "one"}, {embed.CoreUser, ""}, {embed.CoreUser, "one"}} {
		if nc, err := connect(s, c[0], c[1]); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%v: %v", c, err)
			nc.Close()
		}
	}
	mustConnect(t, s, "core", "c")
}

func TestAnOversizedMessageReachesTheService(t *testing.T) {
	s := start(t, t.TempDir())
	allow(t, s, "a-1", "one")
	echo(t, core(t, s))
	if _, err := mustConnect(t, s, "a-1", "one").Request("outbound.ingest.a-1.x", make([]byte, 600<<10), waittest.Limit); err != nil {
		t.Error(err)
	}
}

func TestRotatingAndRevokingCloseConnections(t *testing.T) {
	s := start(t, t.TempDir())
	stays := hashOf(t, "three")
	set := func(list ...embed.Appliance) {
		t.Helper()
		if err := s.SetAppliances(append(list, embed.Appliance{ID: "a-3", PasswordBcrypt: stays})); err != nil {
			t.Fatal(err)
		}
	}
	first := hashOf(t, "one")
	set(embed.Appliance{ID: "a-1", PasswordBcrypt: first}, embed.Appliance{ID: "a-2", PasswordBcrypt: hashOf(t, "two")})
	rotated, revoked, kept := mustConnect(t, s, "a-1", "one"), mustConnect(t, s, "a-2", "two"), mustConnect(t, s, "a-3", "three")
	set(embed.Appliance{ID: "a-1", PasswordBcrypt: hashOf(t, "new")})
	for _, c := range []*client{rotated, revoked} {
		waittest.Receive(t, "a connection to end with its password", c.closed)
	}
	if err := kept.Flush(); err != nil {
		t.Errorf("another's connection: %v", err)
	}
	for _, c := range [][2]string{{"a-1", "one"}, {"a-2", "two"}} {
		if _, err := connect(s, c[0], c[1]); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%v: %v", c, err)
		}
	}
	mustConnect(t, s, "a-1", "new")
	set(embed.Appliance{ID: "a-1", PasswordBcrypt: first}, embed.Appliance{ID: "a-2", PasswordBcrypt: hashOf(t, "two")})
	mustConnect(t, s, "a-2", "two")
}

func TestSetAppliancesRefusesWhatCannotConnect(t *testing.T) {
	s := start(t, t.TempDir())
	for _, a := range []embed.Appliance{{ID: "a.b", PasswordBcrypt: hashOf(t, "x")}, {ID: "a", PasswordBcrypt: "plain"},
		{ID: ">", PasswordBcrypt: hashOf(t, "x")}} {
		if err := s.SetAppliances([]embed.Appliance{a}); err == nil {
			t.Errorf("%+v was taken", a)
		}
	}
}

func TestAnApplianceWaitsUntilAppliancesAreKnown(t *testing.T) {
	s := start(t, t.TempDir())
	done := make(chan error, 1)
	go func() {
		c, err := connect(s, "a-1", "one")
		if err == nil {
			c.Close()
		}
		done <- err
	}()
	core(t, s)
	allow(t, s, "a-1", "one")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A stock client gives up for good after it was refused twice.
func TestAppliancesThatWaitAreCutOffAndNotRefused(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	const clients = 20
	gaveUp := make(chan error, clients)
	for range clients {
		nc, err := nats.Connect(s.Addr(), nats.UserInfo("a1", "one"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
			nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0), nats.Timeout(time.Second),
			nats.ClosedHandler(func(nc *nats.Conn) { gaveUp <- nc.LastError() }))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	for range 4 {
		waittest.Until(t, "the appliances to wait", func() bool { return s.Waiting() >= clients })
		s.Shutdown()
		if s, err = embed.Start(embed.Options{StoreDir: dir, Host: "127.0.0.1", Port: at}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Shutdown)
	}
	allow(t, s, "a1", "one")
	select {
	case err := <-gaveUp:
		t.Errorf("a client gave up: %v", err)
	default:
	}
}

func TestASecondBrokerOnTheDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	_, err := embed.Start(embed.Options{StoreDir: dir, Host: "127.0.0.1", Port: -1})
	if !errors.Is(err, embed.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "process id") {
		t.Errorf("%v", err)
	}
	s.Shutdown()
	start(t, dir)
}

func TestATakenPortIsOneClearError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dir := t.TempDir()
	_, err = embed.Start(embed.Options{StoreDir: dir, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("%v", err)
	}
	start(t, dir)
}

func TestStreamsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	ctx := t.Context()
	c := core(t, s)
	if err := c.EnsureStreams(ctx, bus.DefaultStreamOptions()); err != nil {
		t.Fatal(err)
	}
	b, err := c.Bucket(ctx, bus.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "k", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.Shutdown()
	if b, err = core(t, start(t, dir)).Bucket(ctx, bus.BucketSettings); err != nil {
		t.Fatal(err)
	}
	if e, err := b.Get(ctx, "k"); err != nil || string(e.Value) != "kept" {
		t.Errorf("%v %v", e, err)
	}
}

func TestABrokenStoreIsAnErrorNotAnExit(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	_, err := embed.Start(embed.Options{StoreDir: dir, Host: "127.0.0.1", Port: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err == nil || !strings.Contains(err.Error(), "JetStream") || !strings.Contains(log.String(), "broker fatal error") {
		t.Errorf("%v\n%s", err, log.String())
	}
	if err := os.Remove(filepath.Join(dir, "jetstream")); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}
