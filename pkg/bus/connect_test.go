package bus_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func contains(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q lacks %q", err, w)
		}
	}
}

// refused is the error of a connection that must be refused at once.
func refused(t *testing.T, o bus.Options) error {
	t.Helper()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	c, err := bus.Connect(ctx, o)
	if err == nil {
		c.Close()
	}
	if ctx.Err() != nil {
		t.Fatalf("it was waited for: %v", err)
	}
	return err
}

func TestABrokerThatIsTooOldIsRefused(t *testing.T) {
	b := bustest.Start(t)
	p := bustest.StartProxy(t, b)
	for _, version := range []string{"2.9.10", "2.10.29", "2.12.0", "2.14.9", "2.15.1", "2.15.2-RC.1", "dev", ""} {
		t.Run(version, func(t *testing.T) {
			if version == "" {
				version = "unknown" // an empty text is the server's own
			}
			p.Pretend(version)
			err := refused(t, bus.Options{URL: p.URL})
			contains(t, err, "nats-server "+version, strings.TrimPrefix(p.URL, "nats://"), "needs nats-server 2.15.2", "lose or skip messages")
			var old *bus.VersionError
			if !errors.As(err, &old) || old.Version != version {
				t.Errorf("the error is %#v", err)
			}
		})
	}
	for _, version := range []string{"", "2.15.2", "2.15.3-RC.1", "2.16.0", "3.0.0"} {
		p.Pretend(version)
		c := p.Conn()
		if err := c.Ready(); err != nil {
			t.Errorf("version %q: %v", version, err)
		}
		c.Close()
	}
}

// notices collects what a connection has to say.
type notices struct {
	mu   sync.Mutex
	text string
}

func (n *notices) set(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = text
}

func (n *notices) get() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text
}

func TestABrokerThatIsReplacedByAnOlderOneIsNotUsed(t *testing.T) {
	b := bustest.Start(t)
	b.Conn()
	p := bustest.StartProxy(t, b)
	var n notices
	c, err := bus.Connect(t.Context(), bus.Options{URL: p.URL, Notice: n.set})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	publisher := bus.NewPublisher(c)
	t.Cleanup(publisher.Close)
	if _, err := publisher.Accept(t.Context(), newEvent(t, "before")); err != nil {
		t.Fatal(err)
	}
	p.Pretend("2.10.29")
	waittest.Until(t, "the notice", func() bool { return strings.Contains(n.get(), "2.10.29") })
	contains(t, c.Ready(), "2.10.29", "2.15.2")
	accepted := make(chan error, 1)
	publisher.AcceptAsync(t.Context(), newEvent(t, "meanwhile"), func(_ bus.Receipt, err error) { accepted <- err })
	if c.Connected() {
		t.Error("it is connected to a server that is too old")
	}
	p.Pretend("")
	waittest.Until(t, "the notice to end", func() bool { return n.get() == "" })
	waittest.NoError(t, "the broker to be of use again", c.Ready)
	if err := waittest.Receive(t, "the event", accepted); err != nil {
		t.Error(err)
	}
}

func TestABrokerThatLacksWhatIsNeededIsRefusedInWords(t *testing.T) {
	core := &server.User{Username: "core", Password: "right"}
	accounts := func(o *server.Options) {
		a := server.NewAccount("CORE")
		o.Accounts, core.Account = []*server.Account{a}, a
		o.Users = []*server.User{core}
	}
	for name, c := range map[string]struct {
		options  func(*server.Options)
		password string
		want     []string
	}{
		"no JetStream":        {func(o *server.Options) { o.JetStream = false }, "", []string{"has no JetStream", "enable jetstream"}},
		"an account without":  {accounts, "right", []string{"account of user \"core\"", "jetstream: enabled"}},
		"a wrong password":    {accounts, "wrong", []string{"refused", "nats.passwordFile"}},
		"a small max_payload": {func(o *server.Options) { o.MaxPayload = 64 << 10 }, "", []string{"65536", "524288", "max_payload"}},
		"no permissions":      {func(o *server.Options) { o.Users = []*server.User{limited()} }, "right", []string{"permissions", "$JS."}},
	} {
		t.Run(name, func(t *testing.T) {
			b := bustest.StartWith(t, c.options)
			o := bus.Options{URL: b.URL()}
			if c.password != "" {
				o.User, o.Password = "core", c.password
			}
			contains(t, refused(t, o), c.want...)
		})
	}
}

// limited is a user who may not ask JetStream.
func limited() *server.User {
	return &server.User{Username: "core", Password: "right", Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"outbound.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"outbound.>", "_INBOX.>"}},
	}}
}

func TestStreamsThatDoNotFitAreRefusedInWords(t *testing.T) {
	b := bustest.StartWith(t, func(o *server.Options) { o.JetStreamMaxStore = 64 << 20 })
	c, err := bus.Connect(t.Context(), bus.Options{URL: b.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	contains(t, c.EnsureStreams(t.Context(), bus.DefaultStreamOptions()), "HISTORY", "max_file_store", "streams.historyMaxBytes")
	o := bustest.StreamOptions()
	o.EventsMaxBytes, o.HistoryMaxBytes, o.Replicas = 1<<20, 1<<20, 3
	contains(t, c.EnsureStreams(t.Context(), o), "streams.replicas", "cluster")
}

// A broker that is away, silent, or none is waited for in words, and the wait ends at once when the process is asked to end.
func TestTheWaitForABrokerSaysWhatItWaitsForAndEndsAtOnce(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for name, c := range map[string]struct {
		address string
		waits   bool
	}{
		"closed": {porttest.Address(t), true}, "silent": {silent.Addr().String(), false}, "HTTP": {other.Listener.Addr().String(), false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			waits, ended := make(chan string, 100), make(chan error, 1)
			go func() {
				_, err := bus.Connect(ctx, bus.Options{URL: "nats://" + c.address, Waiting: func(s string) { waits <- s }})
				ended <- err
			}()
			if c.waits {
				if s := waittest.Receive(t, "what it waits for", waits); !strings.Contains(s, c.address) {
					t.Errorf("it waits for %q", s)
				}
			}
			cancel()
			began := time.Now()
			err := waittest.Receive(t, "the end", ended)
			if took := time.Since(began); !errors.Is(err, context.Canceled) || took > 3*time.Second {
				t.Errorf("it ended after %v with %v", took, err)
			}
		})
	}
}

func TestAChangedPasswordAtTheBrokerIsANoticeAndCanBeChangedBack(t *testing.T) {
	user := &server.User{Username: "core", Password: "right"}
	b := bustest.StartWith(t, func(o *server.Options) { o.Users = []*server.User{user} })
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var n notices
	c, err := bus.Connect(t.Context(), bus.Options{URL: b.URL(), User: "core", PasswordFile: file, Notice: n.set})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	user.Password = "changed"
	b.Restart()
	waittest.Until(t, "the notice", func() bool { return strings.Contains(n.get(), "nats.passwordFile") })
	if c.Ready() == nil {
		t.Error("it is ready")
	}
	user.Password = "right"
	b.Restart()
	waittest.NoError(t, "the connection", c.Ready)
	waittest.Until(t, "the notice to end", func() bool { return n.get() == "" })
}
