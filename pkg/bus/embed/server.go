// Package embed runs the broker, nats-server, in this process: for the all-in-one and for tests. Our services share the
// account CORE, where JetStream is; each appliance has an account of its own that imports the intake service, so it can
// neither publish as another nor see another's replies.
package embed

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/storefile"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/secret"
)

// CoreUser is the user name of our own services. No appliance can have it: a dot is not in the alphabet of their ids.
const CoreUser = "outbound.core"

const (
	// maxPayload is well above the largest event, so that an oversized one is answered with the reason instead of a cut
	// connection.
	maxPayload = 1 << 20
	// tlsTimeout covers handshakes of many appliances that connect at once.
	tlsTimeout = 10 * time.Second
	// authTimeout covers many appliances that connect at once after a restart, each costing a slow hash.
	authTimeout = 30 * time.Second
	// readyTimeout covers the recovery of large streams after a kill.
	readyTimeout = 5 * time.Minute
	// defaultMaxStore is no bound in practice: the streams have theirs, and JetStream's own default, three quarters of the free
	// space, would refuse to make them on a small disk.
	defaultMaxStore = 1 << 40
	// groupSyncInterval bounds how long what nobody waits for, as a consumer's state, is not on disk.
	groupSyncInterval = time.Second
)

// coreAccount is where JetStream is, and what it offers to the appliances' accounts.
const coreAccount = "CORE"

// accounts is given as configuration text because nats-server turns JetStream on for a chosen account in no other way before
// it listens.
const accounts = `accounts { ` + coreAccount + ` { jetstream: enabled, exports: [ { service: "` + bus.IngestExport + `" } ] } }`

// Options say how the broker runs.
type Options struct {
	// StoreDir holds streams, buckets and the lock. Made if absent.
	StoreDir string
	// Host and Port are where appliances connect. Port 0 or -1 picks one.
	Host string
	Port int
	// SyncAlways has every write reach the disk before the broker acknowledges it.
	SyncAlways bool
	// GroupSync has the broker write alone, and Disk sync for a group of messages what was written. It goes with bus.Options.Disk. Without
	// SyncAlways and GroupSync files are synced every two minutes.
	GroupSync bool
	// Sync has the data of a file reach the disk, with GroupSync. Nil: fdatasync(2).
	Sync func(*os.File) error
	// Limits are how much one appliance may use.
	Limits Limits
	// MaxStore bounds all streams together, in bytes. 0: they have only bounds of their own.
	MaxStore int64
	// TLS is spoken with those who connect by the network. Nil: plain text.
	TLS *tls.Config
	// Key encrypts all files of streams and consumers, with AES-256. Empty: they are not encrypted. A store is made with a key or without one;
	// see storefile.CheckKey.
	Key string
	// Logger takes the broker's warnings and errors. Nil: the process's.
	Logger *slog.Logger
}

// Server is a running broker. Shutdown ends it.
type Server struct {
	// ns is the server that runs; nil while the store is opened again.
	ns       atomic.Pointer[server.Server]
	o        Options
	lock     *lock
	auth     *authenticator
	disk     *Disk
	password string
	storeDir string
	log      *slog.Logger
	// address is where the broker listens.
	address *net.TCPAddr

	// life is held while the server is stopped or started; ended says that it is not to be started again.
	life  sync.Mutex
	ended bool
	// appliances are those of the last SetAppliances.
	appliances []Appliance
}

// Start takes the store directory's lock, starts the broker and returns once it listens and all streams are recovered.
// Appliances that connect before the first SetAppliances wait for it.
func Start(o Options) (*Server, error) {
	if o.StoreDir == "" {
		return nil, errors.New("start the broker: no store directory is given")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := takeLock(o.StoreDir)
	if err != nil {
		return nil, err
	}
	s, err := start(o, l)
	if err != nil {
		l.release()
		return nil, err
	}
	return s, nil
}

func start(o Options, l *lock) (*Server, error) {
	if err := storefile.CheckKey(storefile.Options{Dir: o.StoreDir, Account: coreAccount, Key: o.Key}); err != nil {
		return nil, err
	}
	s := &Server{lock: l, password: secret.NewPassword(), storeDir: o.StoreDir, log: o.Logger, o: o}
	s.auth = newAuthenticator(s.password)
	if o.GroupSync {
		s.disk = newDisk(o)
	}
	if err := s.launch(); err != nil {
		return nil, err
	}
	return s, nil
}

// launch starts a server on the store and returns once it listens and all streams are recovered.
func (s *Server) launch() error {
	// nats-server would end the process's hope of an ordered start when the port is taken; so it is tried first.
	if err := tryListen(s.o.Host, s.o.Port); err != nil {
		return err
	}
	opts, err := serverOptions(s.o, s.auth)
	if err != nil {
		return err
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("create the broker: %w", err)
	}
	s.auth.server.Store(ns)
	log := &logger{to: s.log}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	if err := log.fatal(); err != nil {
		s.auth.close()
		end(ns)
		return fmt.Errorf("start the broker: %w", err)
	}
	if !ns.ReadyForConnections(readyTimeout) {
		s.auth.close()
		end(ns)
		return fmt.Errorf("start the broker: not ready after %s: see the log", readyTimeout)
	}
	if a, ok := ns.Addr().(*net.TCPAddr); ok {
		s.address, s.o.Port = a, a.Port
	}
	s.ns.Store(ns)
	return nil
}

// end stops a server and waits until everything is on the disk.
func end(ns *server.Server) {
	ns.Shutdown()
	ns.WaitForShutdown()
}

func serverOptions(o Options, auth server.Authentication) (*server.Options, error) {
	opts := &server.Options{}
	if err := opts.ProcessConfigString(accounts); err != nil {
		return nil, fmt.Errorf("configure the broker's accounts: %w", err)
	}
	opts.ServerName = "outbound"
	opts.Host, opts.Port = o.Host, o.Port
	if o.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	opts.NoSigs = true
	opts.JetStream, opts.StoreDir, opts.SyncAlways = true, o.StoreDir, o.SyncAlways
	if o.GroupSync {
		opts.SyncAlways, opts.SyncInterval = false, groupSyncInterval
	}
	opts.JetStreamMaxStore = defaultMaxStore
	if o.MaxStore > 0 {
		opts.JetStreamMaxStore = o.MaxStore
	}
	if o.Key != "" {
		opts.JetStreamKey, opts.JetStreamCipher = o.Key, server.AES
	}
	opts.MaxPayload = maxPayload
	if o.TLS != nil {
		opts.TLS, opts.TLSConfig, opts.TLSTimeout = true, o.TLS.Clone(), tlsTimeout.Seconds()
		opts.TLSConfig.NextProtos = nil // those of HTTP
	}
	opts.AuthTimeout = authTimeout.Seconds()
	opts.CustomClientAuthentication = auth
	return opts, nil
}

// tryListen reports whether the address can be had.
func tryListen(host string, port int) error {
	address := net.JoinHostPort(host, strconv.Itoa(max(port, 0)))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for appliances on %s: %w: free the address or choose another", address, err)
	}
	return l.Close()
}

// Addr is where the broker listens, e.g. 127.0.0.1:4222.
func (s *Server) Addr() string { return s.address.String() }

// CorePassword is the password of CoreUser, new with each start.
func (s *Server) CorePassword() string { return s.password }

// Disk syncs what the broker writes; nil without GroupSync.
func (s *Server) Disk() *Disk { return s.disk }

// InProcessConn is a connection to the broker without the network. It is signed in like any other.
func (s *Server) InProcessConn() (net.Conn, error) {
	ns := s.ns.Load()
	if ns == nil {
		return nil, errReopening
	}
	c, err := ns.InProcessConn()
	if err != nil {
		return nil, fmt.Errorf("connect to the broker in this process: %w", err)
	}
	return c, nil
}

// shutdownWait is how long a shutdown may take.
const shutdownWait = 20 * time.Second

// Shutdown closes all connections, waits until everything is on the disk and gives the directory free. Twice is no error.
func (s *Server) Shutdown() { s.ShutdownWithin(shutdownWait) }

// ShutdownWithin is Shutdown that waits so long at most, for a disk may answer nothing. The directory stays locked then until the
// process ends.
func (s *Server) ShutdownWithin(wait time.Duration) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop()
	}()
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-stopped:
		s.lock.release()
	case <-late.C:
		s.log.Error("the broker did not shut down in time", logkey.Waited, wait.String())
	}
}

func (s *Server) stop() {
	s.auth.close()
	s.life.Lock()
	defer s.life.Unlock()
	s.ended = true
	if ns := s.ns.Load(); ns != nil {
		end(ns)
	}
	if s.disk != nil {
		s.disk.close()
	}
}

// makeDir makes the store directory, for its owner alone.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the broker's directory: %w", err)
	}
	return nil
}
