// Package bustest starts real brokers for tests.
package bustest

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// Server is a nats-server with JetStream in this process, on a port of its own.
type Server struct {
	t    testing.TB
	opts server.Options
	s    *server.Server
	// conf is the file that options are read from at each start. Empty: they are in opts.
	conf string
}

// Start starts a server on a folder of its own; it ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, func(*server.Options) {})
}

// StartWith is Start with other options of nats-server.
func StartWith(t testing.TB, change func(*server.Options)) *Server {
	t.Helper()
	b := &Server{t: t, opts: server.Options{Host: "127.0.0.1", Port: porttest.Port(t), JetStream: true, StoreDir: t.TempDir(), NoSigs: true,
		NoLog: true, SyncAlways: true}}
	change(&b.opts)
	b.start()
	t.Cleanup(b.Stop)
	return b
}

// StartOperator starts a server in operator mode, whose files accounts.Make writes into a folder that does not exist yet.
func StartOperator(t testing.TB, dir string) *Server {
	t.Helper()
	if _, err := accounts.Make(dir, filepath.Join(dir, "accounts")); err != nil {
		t.Fatalf("make an operator: %v", err)
	}
	b := &Server{t: t, conf: filepath.Join(dir, accounts.FileConf), opts: server.Options{Host: "127.0.0.1", Port: porttest.Port(t),
		JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, SyncAlways: true}}
	b.start()
	t.Cleanup(b.Stop)
	return b
}

// maxStore is no bound, as in the deployments: JetStream's own, three quarters of the free disk, may be less than the streams ask for.
const maxStore = 1 << 40

func (b *Server) start() {
	b.t.Helper()
	o := b.opts
	if b.conf != "" {
		read, err := server.ProcessConfigFile(b.conf)
		if err != nil {
			b.t.Fatalf("read %s: %v", b.conf, err)
		}
		read.Host, read.Port, read.JetStream, read.StoreDir = o.Host, o.Port, o.JetStream, o.StoreDir
		read.NoSigs, read.NoLog, read.SyncAlways = o.NoSigs, o.NoLog, o.SyncAlways
		o = *read
	}
	if o.JetStreamMaxStore == 0 {
		o.JetStreamMaxStore = maxStore
	}
	s, err := server.NewServer(&o)
	if err != nil {
		b.t.Fatalf("make a broker: %v", err)
	}
	s.Start()
	if !s.ReadyForConnections(waittest.Limit) {
		b.t.Fatalf("the broker is not ready after %s", waittest.Limit)
	}
	b.s = s
	b.opts.Port = s.Addr().(*net.TCPAddr).Port
}

// Stop stops the server in order. Stopping it twice is no error.
func (b *Server) Stop() {
	b.s.Shutdown()
	b.s.WaitForShutdown()
}

// StopJetStream has the server store nothing and answer no question about what is stored, while it keeps its connections.
func (b *Server) StopJetStream() {
	b.t.Helper()
	if err := b.s.DisableJetStream(); err != nil {
		b.t.Fatalf("stop JetStream: %v", err)
	}
}

// Restart stops the server and starts it again on the same folder and port.
func (b *Server) Restart() {
	b.t.Helper()
	b.Stop()
	b.start()
}

// URL is where the server listens.
func (b *Server) URL() string { return b.s.ClientURL() }

// Conn connects to the server and makes the streams; the connection ends with the test.
func (b *Server) Conn() *bus.Conn {
	b.t.Helper()
	return connect(b.t, bus.Options{URL: b.URL()})
}

// ConnAt is Conn for a host with another clock.
func (b *Server) ConnAt(clock func() time.Time) *bus.Conn {
	b.t.Helper()
	return connect(b.t, bus.Options{URL: b.URL(), Clock: clock})
}

func connect(t testing.TB, o bus.Options) *bus.Conn {
	t.Helper()
	o.Name, o.Logger = t.Name(), slog.Default()
	ctx, cancel := waittest.Context(context.Background())
	defer cancel()
	c, err := bus.Connect(ctx, o)
	if err != nil {
		t.Fatalf("connect to the broker: %v", err)
	}
	t.Cleanup(c.Close)
	if err := c.EnsureStreams(ctx, StreamOptions()); err != nil {
		t.Fatalf("make the streams: %v", err)
	}
	return c
}

// StreamOptions are small streams.
func StreamOptions() bus.StreamOptions {
	o := bus.DefaultStreamOptions()
	o.EventsMaxBytes, o.HistoryMaxBytes = 256<<20, 256<<20
	return o
}
