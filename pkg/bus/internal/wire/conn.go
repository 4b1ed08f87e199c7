// Package wire is what the packages of pkg/bus share: the connection, the names of streams and subjects, the committer that publishes in
// groups, direct reads, and buckets.
package wire

import (
	"cmp"
	"context"
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
	// CAFile holds root certificates (PEM) to verify the broker with, for tls:// addresses.
	CAFile string `yaml:"caFile"`

	// Relaxed says that the broker does not sync each write (its sync_interval is not `always`). Messages are then published
	// one by one: an atomic batch costs the broker more than it saves.
	Relaxed bool `yaml:"relaxed"`

	// Name tells this client from others in the broker's list.
	Name string `yaml:"-"`
	// Password is used instead of PasswordFile by the all-in-one.
	Password string `yaml:"-"`
	// InProcess connects to an embedded server without the network.
	InProcess InProcessServer `yaml:"-"`
	// RepeatFor is how long a publish of an event whose result is unknown is repeated before its publisher is told that it failed.
	// It must stay within the de-duplication window of EVENTS. 0: a minute.
	RepeatFor time.Duration `yaml:"-"`
	// Clock is the host's wall clock. Nil: time.Now. Tests have one that is wrong.
	Clock func() time.Time `yaml:"-"`
}

// InProcessServer is an embedded server.
type InProcessServer interface {
	InProcessConn() (net.Conn, error)
}

// Conn is a connection to the broker. It reconnects for ever.
type Conn struct {
	NC      *nats.Conn
	JS      jetstream.JetStream
	relaxed bool
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
	// store is the watch of the broker's store, if there is one.
	store atomic.Pointer[StoreWatch]
}

// sayEvery is how often a broker that is waited for is mentioned.
const sayEvery = 10 * time.Second

// writeTimeout is how long the broker may take nothing of what is sent before the connection counts as lost. Everything that is to
// be sent waits meanwhile.
const writeTimeout = 5 * time.Second

// Connect opens a connection. A broker that is away is waited for until ctx ends; wrong credentials are an error at once.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	c := &Conn{relaxed: o.Relaxed, RepeatFor: cmp.Or(o.RepeatFor, repeatFor), ending: newEnding(), clock: newClock(o.Clock),
		measure: make(chan struct{}, 1)}
	opts := []nats.Option{
		nats.Name(o.Name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.PingInterval(15 * time.Second),
		nats.Timeout(5 * time.Second), nats.ReconnectBufSize(-1), nats.FlusherTimeout(writeTimeout), nats.ReconnectOnFlusherError(),
		nats.ReconnectHandler(func(*nats.Conn) { begins(c); measureSoon(c); slog.Info("broker reconnected") }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			// Handlers run beside the first messages of the next connection, so the end of this one counts already.
			begins(c)
			if err != nil {
				slog.Warn("broker connection lost", telemetry.KeyError, err.Error())
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			slog.Warn("broker reported an error", telemetry.KeyError, err.Error(), logkey.Subject, subject)
		}),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
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
	if o.CAFile != "" {
		opts = append(opts, rootCAs(o.CAFile))
	}
	for said := (time.Time{}); ; {
		nc, err := nats.Connect(o.URL, opts...)
		if err == nil {
			c.NC = nc
			break
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return nil, fmt.Errorf("connect to the broker at %s as %q: refused: check nats.user and nats.passwordFile", o.URL, o.User)
		}
		if time.Since(said) > sayEvery {
			said = time.Now()
			slog.Info("broker is not available yet", logkey.URL, o.URL, telemetry.KeyError, err.Error())
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to the broker at %s: %w (last: %w)", o.URL, ctx.Err(), err)
		case <-time.After(250 * time.Millisecond):
		}
	}
	begins(c)
	js, err := jetstream.New(c.NC, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		c.NC.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	c.JS = js
	firstMeasure(ctx, c)
	ctx, c.closing = context.WithCancel(context.WithoutCancel(ctx))
	c.measuring.Go(func() { keepClock(ctx, c) })
	return c, nil
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

// Connected reports whether the broker is reached now.
func (c *Conn) Connected() bool { return c.NC.IsConnected() }

// Flush waits until all that was sent has reached the broker.
func (c *Conn) Flush(ctx context.Context) error { return c.NC.FlushWithContext(ctx) }

// IntakeConn is the underlying connection, for the micro service of intake alone.
func (c *Conn) IntakeConn() *nats.Conn { return c.NC }

// closeWait is how long closing a connection takes at most, and half of it how long what is buffered may take to be sent.
const closeWait = 2 * time.Second

// Close sends what is buffered and closes the connection. A broker that takes nothing is not waited for.
func (c *Conn) Close() {
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
