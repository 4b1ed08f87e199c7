// Package wire is what the packages of pkg/bus share: the connection, the names of streams and subjects, the committer that publishes in
// groups, direct reads, and buckets.
package wire

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Options say how to reach the broker.
type Options struct {
	// URL of the broker, e.g. nats://127.0.0.1:4222. Several, separated by commas, for a cluster.
	URL string `yaml:"url"`
	// User name at the broker. Empty: none is sent.
	User string `yaml:"user"`
	// PasswordFile holds the password, blanks around it cut.
	PasswordFile string `yaml:"passwordFile"`
	// CredsFile holds the credentials of a user of a broker in operator mode, instead of User and PasswordFile.
	CredsFile string `yaml:"credsFile"`
	// CAFile holds root certificates (PEM) to verify the broker with, for tls:// addresses.
	CAFile string `yaml:"caFile"`
	// CertFile and KeyFile are a certificate (PEM) and its key by which the broker may know this client, for tls:// addresses.
	CertFile string `yaml:"certFile"`
	KeyFile  string `yaml:"keyFile"`

	// Relaxed says that the broker does not sync each write (its sync_interval is not `always`). Messages are then published
	// one by one: an atomic batch costs the broker more than it saves.
	Relaxed bool `yaml:"relaxed"`

	// Name tells this client from others in the broker's list.
	Name string `yaml:"-"`
	// Password is used instead of PasswordFile by the all-in-one.
	Password string `yaml:"-"`
	// InProcess connects to an embedded server without the network.
	InProcess InProcessServer `yaml:"-"`
	// Disk syncs what an embedded broker writes, once for a group of messages. Nil: the broker syncs by itself.
	Disk Disk `yaml:"-"`
	// Waiting is told what is waited for at the start, as a sentence, and the empty text once it is there. Optional.
	Waiting func(text string) `yaml:"-"`
	// Notice is told what is wrong with the broker while the process runs, as a sentence, and the empty text once it is right. Optional.
	Notice func(text string) `yaml:"-"`
	// RepeatFor is how long a publish of an event whose result is unknown is repeated before its publisher is told that it failed.
	// It must stay within the de-duplication window of EVENTS. 0: a minute.
	RepeatFor time.Duration `yaml:"-"`
	// Logger takes what is to be said of the connection. Nil: nothing is logged.
	Logger *slog.Logger `yaml:"-"`
	// Clock is the host's wall clock. Nil: time.Now. Tests have one that is wrong.
	Clock func() time.Time `yaml:"-"`
}

// InProcessServer is an embedded server.
type InProcessServer interface {
	InProcessConn() (net.Conn, error)
}

// Disk makes durable what an embedded broker has written.
type Disk interface {
	// Sync returns once the messages of a stream up to a sequence, which the broker has written, are on disk.
	Sync(stream string, sequence uint64) error
	// Await is Sync for who has not written them: it first waits for who has.
	Await(ctx context.Context, stream string, sequence uint64) error
	// SyncConsumer makes durable that a consumer exists, SyncStreams that all streams do.
	SyncConsumer(stream, consumer string) error
	SyncStreams() error
	// Err is why nothing can be made durable any more; nil: it can.
	Err() error
}

// Conn is a connection to the broker. It reconnects for ever, but never to a server that is older than MinServerVersion.
type Conn struct {
	NC *nats.Conn
	// JS repeats requests while the broker elects a leader. See Again.
	JS      jetstream.JetStream
	relaxed bool
	// Logger is that of the options, never nil.
	Logger *slog.Logger
	// Disk is set if an embedded broker leaves syncing to its writers.
	Disk Disk
	// since is when the present connection began, in nanoseconds of monotonic time since clock.began. connects counts how often it began.
	since    atomic.Int64
	connects atomic.Uint64
	clock    *clock
	// measure is signalled when the broker's clock is to be measured at once. closing stops measuring, measuring waits for its end.
	measure   chan struct{}
	closing   context.CancelFunc
	measuring sync.WaitGroup
	// repeatFor is RepeatFor of the options.
	RepeatFor time.Duration
	ending    *ending
	dialer    *dialer
	monitor   *monitor
	options   Options
	// store is the watch of the broker's store, if there is one.
	store atomic.Pointer[StoreWatch]
}

// sayEvery is how often a broker that is waited for is mentioned.
const sayEvery = 5 * time.Second

// connectPause is the pause between two attempts to connect.
const connectPause = 250 * time.Millisecond

// writeTimeout is how long the broker may take nothing of what is sent before the connection counts as lost. Everything that is to
// be sent waits meanwhile.
const writeTimeout = 5 * time.Second

// Connect opens a connection to a broker that has all that Outbound needs. A broker that is away, or a cluster without a leader, is waited
// for until ctx ends. What does not mend itself is an error at once: wrong credentials, a server that is too old (*VersionError), or
// one without JetStream for this account.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	c := &Conn{relaxed: o.Relaxed, Disk: o.Disk, RepeatFor: cmp.Or(o.RepeatFor, repeatFor), ending: newEnding(), clock: newClock(o.Clock),
		measure: make(chan struct{}, 1), options: o, Logger: cmp.Or(o.Logger, slog.New(slog.DiscardHandler))}
	c.monitor = newMonitor(c)
	c.dialer = &dialer{ctx: ctx, refused: func(*VersionError) { c.monitor.look() }}
	opts, err := clientOptions(c)
	if err != nil {
		return nil, err
	}
	w := newWaiting(c)
	defer w.end()
	if err := open(ctx, c, w, opts); err != nil {
		return nil, err
	}
	if err := awaitNeeds(ctx, c, w); err != nil {
		c.NC.Close()
		return nil, err
	}
	c.dialer.connected()
	firstMeasure(ctx, c)
	ctx, c.closing = context.WithCancel(context.WithoutCancel(ctx))
	c.measuring.Go(func() { keepClock(ctx, c) })
	c.monitor.start()
	return c, nil
}

// open connects, and opens JetStream.
func open(ctx context.Context, c *Conn, w *waiting, opts []nats.Option) error {
	for {
		nc, err := nats.Connect(c.options.URL, opts...)
		if err == nil {
			c.NC = nc
			break
		}
		if final := final(c, err); final != nil {
			return final
		}
		w.say("the broker at "+c.options.URL, err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("connect to the broker at %s: %w (last: %w)", c.options.URL, ctx.Err(), err)
		case <-time.After(connectPause):
		}
	}
	begins(c)
	js, err := jetstream.New(c.NC, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		c.NC.Close()
		return fmt.Errorf("open JetStream: %w", err)
	}
	c.JS = steady{JetStream: js, conn: c}
	return nil
}

// final is the error of an attempt to connect that another attempt does not mend; nil if it is to be repeated.
func final(c *Conn, err error) error {
	o := c.options
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case refusesUser(err) && o.CredsFile != "":
		return fmt.Errorf("connect to the broker at %s: refused: check nats.credsFile and nats.url (%w)", o.URL, err)
	case refusesUser(err):
		return fmt.Errorf("connect to the broker at %s as %q: refused: check nats.user and nats.passwordFile (%w)", o.URL, o.User, err)
	case c.dialer.tooOld() != nil:
		return c.dialer.tooOld()
	case errors.As(err, &authority), errors.As(err, &host):
		return fmt.Errorf("connect to the broker at %s: its certificate is not trusted: check nats.caFile and nats.url (%w)", o.URL, err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("connect to the broker at %s: it has no TLS: use nats:// in nats.url and leave out nats.caFile (%w)", o.URL, err)
	default:
		return nil
	}
}

// refusesUser reports whether the broker knows the client and refuses it.
func refusesUser(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) ||
		errors.Is(err, nats.ErrAccountAuthExpired)
}

// clientOptions are those of the client library.
func clientOptions(c *Conn) ([]nats.Option, error) {
	o := c.options
	opts := []nats.Option{
		nats.Name(o.Name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.PingInterval(15 * time.Second),
		nats.Timeout(dialTimeout), nats.ReconnectBufSize(-1), nats.FlusherTimeout(writeTimeout), nats.ReconnectOnFlusherError(),
		nats.SetCustomDialer(c.dialer), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			begins(c)
			measureSoon(c)
			c.Logger.Info("broker reconnected", logkey.Server, nc.ConnectedServerName(), telemetry.KeyVersion, nc.ConnectedServerVersion())
			c.monitor.reconnected()
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.monitor.refused(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			// Handlers run beside the first messages of the next connection, so the end of this one counts already.
			begins(c)
			if err != nil {
				c.Logger.Warn("broker connection lost", telemetry.KeyError, err.Error())
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			c.monitor.reported(err, subject)
		}),
	}
	opts = append(opts, transportOptions(o)...)
	if o.CredsFile != "" {
		// It is read at each connection.
		return append(opts, nats.UserCredentials(o.CredsFile)), nil
	}
	password := o.Password
	if o.PasswordFile != "" {
		b, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read the broker's password: %w", err)
		}
		password = strings.TrimSpace(string(b))
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, password))
	}
	return opts, nil
}

// begins notes that a connection begins, or that one has ended.
func begins(c *Conn) {
	c.since.Store(int64(c.clock.elapsed()))
	c.connects.Add(1)
}

// Since is when the present connection began, by the broker's clock as it is known now.
func (c *Conn) Since() time.Time {
	return c.clock.now().Add(time.Duration(c.since.Load()) - c.clock.elapsed())
}

// Connects tells connections apart: it rises with each that begins or ends.
func (c *Conn) Connects() uint64 { return c.connects.Load() }

// Relaxed reports whether the broker syncs now and then alone, so that streams may lose their ends.
func (c *Conn) Relaxed() bool { return c.relaxed }

// Synced returns once the messages of a stream up to a sequence, which the broker has acknowledged, are on disk as far as it is this
// process that syncs.
func (c *Conn) Synced(stream string, sequence uint64) error {
	if c.Disk == nil {
		return nil
	}
	return c.Disk.Sync(stream, sequence)
}

// Connected reports whether the broker is reached now.
func (c *Conn) Connected() bool { return c.NC.IsConnected() }

// Ready says why the broker is of no use now, or nothing.
func (c *Conn) Ready() error { return c.monitor.fault() }

// Flush waits until all that was sent has reached the broker.
func (c *Conn) Flush(ctx context.Context) error { return c.NC.FlushWithContext(ctx) }

// IntakeConn is the underlying connection, for the micro service of intake alone.
func (c *Conn) IntakeConn() *nats.Conn { return c.NC }

// closeWait is how long closing a connection takes at most, and half of it how long what is buffered may take to be sent.
const closeWait = 2 * time.Second

// Close sends what is buffered and closes the connection. A broker that takes nothing is not waited for.
func (c *Conn) Close() {
	c.monitor.stop()
	closed := make(chan struct{})
	c.closing()
	go func() {
		defer close(closed)
		if c.ending.ctx.Err() == nil {
			ctx, cancel := context.WithTimeout(context.Background(), closeWait/2)
			defer cancel()
			_ = c.NC.FlushWithContext(ctx)
		}
		c.NC.Close()
		c.ending.over()
		c.measuring.Wait()
	}()
	late := time.NewTimer(closeWait)
	defer late.Stop()
	select {
	case <-closed:
	case <-late.C: // a write under way ends with its own timeout
	}
}
