package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
)

// Conn is a way to a relay for one goroutine at a time: a connection that is signed in, and another one after it when the relay wants
// that. It keeps its place among the connections that there may be.
type Conn struct {
	*session
	pool *Pool
	// place is given back with the connection.
	place *inFlightLimit
}

// session is one connection that is signed in.
type session struct {
	relay Relay
	// secret is the password or token that it was signed in with.
	secret string
	raw    *guard
	client *client
	// encrypted says that the connection is.
	encrypted bool
	// leaf is the certificate that the relay presented; nil unless encrypted.
	leaf *x509.Certificate
	// fresh says that no mail has been begun on it since it was last known to be clear.
	fresh bool
	// mails is how many mails were begun on it, taken how many of them the relay took.
	mails, taken int
	// since is when it became idle.
	since time.Time
	// slow is told of a step that takes long, while it is waited on.
	slow func(*Failure)
	// hurry, if set, bounds each step until it is signed in.
	hurry time.Duration
}

// dialing is how a connection is made.
type dialing struct {
	relay Relay
	// secret is a password or token.
	secret string
	slow   func(*Failure)
	hurry  time.Duration
}

// dial connects to a relay, encrypts and signs in. The context bounds it.
func dial(ctx context.Context, d dialing) (*session, *Failure) {
	conf, err := d.relay.tlsConfig()
	if err != nil {
		return nil, &Failure{Step: StepTLS, Fault: delivery.FaultTLS, Cause: err}
	}
	c := &session{relay: d.relay, secret: d.secret, slow: d.slow, hurry: d.hurry, fresh: true}
	if f := c.connect(ctx); f != nil {
		return nil, f
	}
	release := c.raw.bind(ctx)
	f := c.open(ctx, conf)
	if !release() && f == nil {
		f = failed(ctx, StepConnect, ctx.Err())
	}
	if f != nil {
		c.raw.broken = f.Code == 0 || f.Code == codeClosing
		c.close()
		return nil, d.relay.explain(f)
	}
	return c, nil
}

// connect makes the connection.
func (c *session) connect(ctx context.Context) *Failure {
	defer c.watch(StepConnect)()
	dialer := &net.Dialer{Timeout: c.bound(limitConnect)}
	raw, err := dialer.DialContext(ctx, "tcp", c.relay.address())
	if err != nil {
		return failed(ctx, StepConnect, err)
	}
	c.raw = &guard{Conn: raw}
	return nil
}

// bound is how long a step before the first mail may take.
func (c *session) bound(limit time.Duration) time.Duration {
	if c.hurry > 0 {
		return min(limit, c.hurry)
	}
	return limit
}

// watch has a step that takes long be told of, until done is called.
func (c *session) watch(s Step) (done func()) {
	if c.slow == nil {
		return func() {}
	}
	after := slowSetup
	if s.ofMail() {
		after = slowMail
	}
	return watch(after, func() { c.slow(&Failure{Step: s, Fault: timedOut(s), Slow: after, Cause: errSlow}) })
}

var errSlow = errors.New("no response yet")

// setup takes a step before the first mail.
func (c *session) setup(ctx context.Context, s Step, limit time.Duration, act func() error) error {
	defer c.watch(s)()
	c.raw.step(ctx, c.bound(limit))
	return act()
}

// open speaks until the first mail may come.
func (c *session) open(ctx context.Context, conf *tls.Config) *Failure {
	var line net.Conn = c.raw
	if c.relay.Encryption == settings.TLS {
		encrypted, f := c.encrypt(ctx, conf)
		if f != nil {
			return f
		}
		line = encrypted
	}
	c.client = newClient(line, c.hide())
	banner := func() error {
		_, err := c.client.expect(2)
		return err
	}
	if err := c.setup(ctx, StepBanner, limitBanner, banner); err != nil {
		return failed(ctx, StepBanner, err)
	}
	if err := c.hello(ctx); err != nil {
		return failed(ctx, StepHello, err)
	}
	if c.relay.Encryption == settings.STARTTLS {
		if f := c.startTLS(ctx, conf); f != nil {
			return f
		}
	}
	return c.signIn(ctx)
}

// hide masks the secrets of the relay, and what signs in, in what the relay says.
func (c *session) hide() *secret.Masker {
	o := c.relay.OAuth2
	return secret.NewMasker(c.secret, c.relay.Password, o.ClientSecret, o.RefreshToken)
}

func (c *session) hello(ctx context.Context) error {
	return c.setup(ctx, StepHello, limitCommand, func() error { return c.client.hello(c.helloName()) })
}

// encrypt makes the TLS handshake.
func (c *session) encrypt(ctx context.Context, conf *tls.Config) (*tls.Conn, *Failure) {
	encrypted := tls.Client(c.raw, conf)
	err := c.setup(ctx, StepHandshake, limitTLS, func() error { return encrypted.HandshakeContext(ctx) })
	if err != nil {
		return nil, failedTLS(ctx, StepHandshake, err)
	}
	c.encrypted = true
	if chain := encrypted.ConnectionState().PeerCertificates; len(chain) > 0 {
		c.leaf = chain[0]
	}
	return encrypted, nil
}

// startTLS encrypts a connection that began in the clear (RFC 3207). What the relay said before, it says again.
func (c *session) startTLS(ctx context.Context, conf *tls.Config) *Failure {
	if _, ok := c.client.offered("STARTTLS"); !ok {
		return &Failure{Step: StepTLS, Fault: delivery.FaultTLS,
			Cause: errors.New("the relay does not offer STARTTLS, so nothing was sent: " + c.client.words())}
	}
	err := c.setup(ctx, StepTLS, limitCommand, func() error {
		_, err := c.client.command(2, "STARTTLS")
		return err
	})
	if err != nil {
		return failedTLS(ctx, StepTLS, err)
	}
	if c.client.in.Buffered() > 0 {
		return &Failure{Step: StepTLS, Fault: delivery.FaultTLS,
			Cause: errors.New("the relay, or somebody on the way, sent text in the clear behind the response to STARTTLS")}
	}
	encrypted, f := c.encrypt(ctx, conf)
	if f != nil {
		return f
	}
	c.client = newClient(encrypted, c.hide())
	if err := c.hello(ctx); err != nil {
		return failed(ctx, StepHello, err)
	}
	return nil
}

// handOver hands a mail to the relay, as far as it lets us. Where sent is called, the relay is about to get the mail's data.
func (c *session) handOver(ctx context.Context, m Mail, sent func() bool) *Failure {
	release := c.raw.bind(ctx)
	f := c.mail(ctx, m, sent)
	if f == nil {
		c.taken++
	}
	if !release() && f == nil {
		// The relay has answered; only the connection can't be used again.
		c.raw.broken = true
	}
	return f
}

// Mail is a mail for one address, with its envelope.
type Mail struct {
	From, To string
	// UTF8 says that an address needs SMTPUTF8 (RFC 6531).
	UTF8 bool
	Data []byte
	// Lease is for how long the mail may be sent.
	Lease lease.Lease
}

// errOverdue breaks a mail off before its end, which makes it none.
var errOverdue = errors.New("the broker may have handed the event to another sender, so nothing was sent")

// overdue breaks a mail off: the connection is closed instead of ending the mail.
func (c *session) overdue(s Step) *Failure {
	c.raw.broken = true
	_ = c.raw.Close()
	return &Failure{Step: s, Fault: delivery.FaultOverdue, Cause: errOverdue}
}

func (c *session) mail(ctx context.Context, m Mail, sent func() bool) *Failure {
	take := func(s Step, limit time.Duration, act func() error) *Failure {
		defer c.watch(s)()
		c.raw.step(ctx, limit)
		if err := act(); err != nil {
			return c.failed(ctx, s, err)
		}
		return nil
	}
	if _, ok := c.client.offered("SMTPUTF8"); m.UTF8 && !ok {
		return unsupported()
	}
	reset := !c.fresh
	c.fresh = false
	c.mails++
	f := take(StepMail, limitCommand, func() error {
		if reset {
			if _, err := c.client.command(2, "RSET"); err != nil {
				return err
			}
		}
		return c.client.mail(m)
	})
	if f != nil {
		return f
	}
	f = take(StepRcpt, limitCommand, func() error {
		_, err := c.client.command(2, "RCPT TO:<"+m.To+">")
		return err
	})
	if f != nil {
		return f
	}
	if m.Lease.Over() {
		return c.overdue(StepData)
	}
	f = take(StepData, limitData, func() error {
		_, err := c.client.command(3, "DATA")
		return err
	})
	if f != nil {
		return f
	}
	if !sent() {
		c.raw.broken = true
		return failed(ctx, StepData, ctx.Err())
	}
	var end func() error
	f = take(StepEnd, limitBlock, func() (err error) {
		end, err = c.client.send(m.Data, func() { c.raw.step(ctx, limitBlock) })
		return err
	})
	if f != nil {
		return f
	}
	if m.Lease.Over() {
		return c.overdue(StepEnd)
	}
	return take(StepEnd, limitEnd, end)
}

// failed notes that the connection is not to be used again unless the relay answered and stays.
func (c *session) failed(ctx context.Context, s Step, err error) *Failure {
	f := failed(ctx, s, err)
	if f.Fault != delivery.FaultNone || f.Code == codeClosing {
		c.raw.broken = true
	}
	return f
}

// clear makes sure that an idle connection still works.
func (c *session) clear(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, clearWait)
	defer cancel()
	release := c.raw.bind(ctx)
	_, err := c.client.command(2, "RSET")
	c.fresh = err == nil
	return release() && err == nil
}

// clearWait bounds the question whether an idle connection still works, quitWait the goodbye.
const (
	clearWait = 2 * time.Second
	quitWait  = 250 * time.Millisecond
)

// close says goodbye if that can be done at once, and closes.
func (c *session) close() {
	if !c.raw.broken && c.client != nil {
		ctx, cancel := context.WithTimeout(context.Background(), quitWait)
		defer cancel()
		defer c.raw.bind(ctx)()
		_, _ = c.client.command(2, "QUIT")
	}
	_ = c.raw.Close()
}

// helloName is the name we introduce ourselves with: a host name with a dot, else our address as RFC 5321 wants it then.
func (c *session) helloName() string {
	if strings.Contains(c.relay.Hello, ".") {
		return c.relay.Hello
	}
	if a, ok := c.raw.LocalAddr().(*net.TCPAddr); ok {
		if ip := a.IP.To4(); ip != nil {
			return "[" + ip.String() + "]"
		}
		return "[IPv6:" + a.IP.String() + "]"
	}
	return "localhost"
}
