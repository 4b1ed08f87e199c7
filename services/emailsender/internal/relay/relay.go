// Package relay is a client of the operator's SMTP relay: it connects, encrypts, authenticates and sends emails one address at a
// time, and keeps idle connections for the next email.
//
// go-mail's Client sends a message to all its addresses in one transaction and stops at the first refusal, so it can't
// return a result for each address. This package uses go-mail's smtp package instead, which has the
// commands and all authentication methods; the emersion client lacks CRAM-MD5 and XOAUTH2 and clears the deadlines of a context.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/trust"
)

// Relay is where and how mail leaves. Two equal values may share a connection.
type Relay struct {
	Host               string
	Port               int
	Encryption         settings.Encryption
	Auth               settings.AuthMethod
	Username, Password string
	// CAPEM are the roots to verify with; empty: the system's.
	CAPEM string
	// Compat are concessions to an old relay.
	Compat trust.Compat
	// Hello is the name we introduce ourselves with; empty: our address on the connection.
	Hello string
	// OAuth2 is how access tokens are got; the zero value: the password is the token.
	OAuth2 OAuth2
	// Most is how many connections there may be at once.
	Most int
	// Limit is how many mails there may be in a time.
	Limit throttle.Limit
}

// Of makes a relay of the settings. Hello is our name where the settings have none.
func Of(s settings.SMTP, hello string) Relay {
	r := Relay{
		Host: s.Host, Port: s.Port, Encryption: s.Encryption, Auth: s.Auth, Username: s.Username, Password: s.Password,
		CAPEM: s.CAPEM, Compat: trust.Compat{LegacyTLS: s.LegacyTLS, SmallHello: s.SmallClientHello}, Hello: hello,
		Most: s.MaxConnections, Limit: throttle.Limit{Turns: s.RateLimit.Limit, Period: s.RateLimit.Period},
	}
	if s.Hello != "" {
		r.Hello = s.Hello
	}
	if r.Most <= 0 {
		r.Most = settings.DefaultMaxConnections
	}
	if o := s.OAuth2; o != nil && s.Auth == settings.XOAUTH2 {
		r.Password = ""
		r.OAuth2 = OAuth2{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret, RefreshToken: o.RefreshToken,
			Scopes: strings.Join(o.Scopes, " ")}
	}
	return r
}

// address is where to connect; a port of 0 is the usual one.
func (r Relay) address() string {
	port := r.Port
	if port == 0 {
		switch r.Encryption {
		case settings.NoEncryption:
			port = 25
		case settings.TLS:
			port = 465
		case settings.STARTTLS:
			port = 587
		default:
			port = 587
		}
	}
	return net.JoinHostPort(r.Host, strconv.Itoa(port))
}

// maxRead is how much a relay may say while one mail is handed over, in bytes on the line.
const maxRead = 1 << 20

// Conn is a connection that is signed in. It serves one goroutine at a time.
type Conn struct {
	relay Relay
	pool  *Pool
	// secret is the password or token that it was signed in with.
	secret string
	raw    *limited
	client *smtp.Client
	// fresh says that no mail has been begun on it since it was last known to be clear.
	fresh bool
	// mails is how many mails were begun on it, since when it became idle.
	mails int
	since time.Time
}

// dial connects to a relay, encrypts and signs in with a password or token. The context bounds it.
func dial(ctx context.Context, r Relay, secret string) (*Conn, *Failure) {
	conf, err := r.tlsConfig()
	if err != nil {
		return nil, &Failure{Step: StepTLS, Fault: delivery.FaultTLS, Cause: err}
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address())
	if err != nil {
		return nil, failed(ctx, StepConnect, err)
	}
	c := &Conn{relay: r, secret: secret, raw: &limited{Conn: raw}, fresh: true}
	release := c.bind(ctx)
	f := c.open(ctx, conf)
	if !release() && f == nil {
		f = failed(ctx, StepConnect, ctx.Err())
	}
	if f != nil {
		_ = raw.Close()
		return nil, f
	}
	return c, nil
}

// bind holds the connection to a context until release is called, which reports whether the context is still good.
func (c *Conn) bind(ctx context.Context) (release func() bool) {
	c.raw.left = maxRead
	deadline, _ := ctx.Deadline()
	_ = c.raw.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	return func() bool {
		if !stop() {
			return false
		}
		return c.raw.SetDeadline(time.Time{}) == nil
	}
}

// open speaks until the first mail may come.
func (c *Conn) open(ctx context.Context, conf *tls.Config) *Failure {
	var line net.Conn = c.raw
	if c.relay.Encryption == settings.TLS {
		encrypted := tls.Client(c.raw, conf)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return failedTLS(ctx, c.relay, err)
		}
		line = encrypted
	}
	var err error
	if c.client, err = smtp.NewClient(line, c.relay.Host); err != nil {
		return failed(ctx, StepBanner, err)
	}
	if err = c.client.Hello(c.hello()); err != nil {
		return failed(ctx, StepHello, err)
	}
	if c.relay.Encryption == settings.STARTTLS {
		if ok, _ := c.client.Extension("STARTTLS"); !ok {
			return &Failure{Step: StepTLS, Fault: delivery.FaultTLS, Cause: errors.New("the relay does not offer STARTTLS, so nothing was sent")}
		}
		if err = c.client.StartTLS(conf); err != nil {
			return failedTLS(ctx, c.relay, err)
		}
	}
	return c.signIn(ctx)
}

// encrypted reports whether the connection is.
func (c *Conn) encrypted() bool {
	state, ok := c.client.TLSConnectionState()
	return ok && state.HandshakeComplete
}

// signIn signs in, if the relay wants it. A password or token never crosses a connection in the clear, to whatever host.
func (c *Conn) signIn(ctx context.Context) *Failure {
	r := c.relay
	refuse := func(format string, args ...any) *Failure {
		return &Failure{Step: StepAuth, Fault: delivery.FaultAuth, Cause: fmt.Errorf(format, args...)}
	}
	var name string
	var how smtp.Auth
	switch r.Auth {
	case settings.NoAuth, "":
		return nil
	case settings.Plain:
		name, how = "PLAIN", smtp.PlainAuth("", r.Username, c.secret, r.Host, false)
	case settings.Login:
		name, how = "LOGIN", smtp.LoginAuth(r.Username, c.secret, r.Host, false)
	case settings.CRAMMD5:
		name, how = "CRAM-MD5", smtp.CRAMMD5Auth(r.Username, c.secret)
	case settings.XOAUTH2:
		name, how = "XOAUTH2", smtp.XOAuth2Auth(r.Username, c.secret)
	default:
		return refuse("unknown authentication method %q", r.Auth)
	}
	if r.Auth != settings.CRAMMD5 && !c.encrypted() {
		return refuse("authentication with %s needs an encrypted connection: use STARTTLS or TLS", name)
	}
	if _, offered := c.client.Extension("AUTH"); !slices.Contains(strings.Fields(offered), name) {
		return refuse("the relay does not offer authentication with %s", name)
	}
	if err := c.client.Auth(how); err != nil {
		f := failed(ctx, StepAuth, err)
		if f.Code != 0 {
			f.Fault = delivery.FaultAuth
		}
		f.Reply = c.withoutSecrets(f.Reply)
		return f
	}
	return nil
}

// withoutSecrets takes out what a relay may have echoed.
func (c *Conn) withoutSecrets(s string) string {
	for _, secret := range []string{c.secret, c.relay.Username} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "…")
		}
	}
	return s
}

// Mail hands over a mail to one address, in its turn. A nil answer means that the relay has it.
func (c *Conn) Mail(ctx context.Context, m Mail) *Failure {
	if f := c.pool.turn(ctx, c.relay); f != nil {
		return f
	}
	f := c.handOver(ctx, m)
	c.pool.saw(c.relay, f, f == nil)
	return f
}

func (c *Conn) handOver(ctx context.Context, m Mail) *Failure {
	release := c.bind(ctx)
	f := c.mail(ctx, m)
	if !release() && f == nil {
		// The relay has answered; only the connection can't be used again.
		c.raw.broken = true
	}
	return f
}

// Mail is a mail for one address, with its envelope.
type Mail struct {
	From, To string
	// UTF8 says that an address needs SMTPUTF8.
	UTF8 bool
	Data []byte
	// Lease is for how long the mail may be sent.
	Lease delivery.Lease
}

// errOverdue breaks a mail off before its end, which makes it none.
var errOverdue = errors.New("the broker may have handed the event to another sender, so nothing was sent")

// overdue breaks a mail off: the connection is closed instead of ending the mail.
func (c *Conn) overdue(s Step) *Failure {
	c.raw.broken = true
	_ = c.raw.Close()
	return &Failure{Step: s, Fault: delivery.FaultOverdue, Cause: errOverdue}
}

func (c *Conn) mail(ctx context.Context, m Mail) *Failure {
	if !c.fresh {
		if err := c.client.Reset(); err != nil {
			return c.failed(ctx, StepMail, err)
		}
	}
	c.fresh = false
	c.mails++
	if ok, _ := c.client.Extension("SMTPUTF8"); m.UTF8 && !ok {
		return &Failure{Step: StepRcpt, Fault: delivery.FaultNone, Code: 553, Reply: "5.6.7 the relay does not support non-ASCII addresses"}
	}
	c.client.SkipSMTPUTF8(!m.UTF8)
	if err := c.client.Mail("<" + m.From + ">"); err != nil {
		return c.failed(ctx, StepMail, err)
	}
	if err := c.client.Rcpt("<" + m.To + ">"); err != nil {
		return c.failed(ctx, StepRcpt, err)
	}
	if m.Lease.Over() {
		return c.overdue(StepData)
	}
	w, err := c.client.Data()
	if err != nil {
		return c.failed(ctx, StepData, err)
	}
	if _, err = w.Write(m.Data); err != nil {
		return c.failed(ctx, StepEnd, err)
	}
	if m.Lease.Over() {
		return c.overdue(StepEnd)
	}
	if err = w.Close(); err != nil {
		return c.failed(ctx, StepEnd, err)
	}
	return nil
}

// failed notes that the connection is not to be used again unless the relay answered and stays.
func (c *Conn) failed(ctx context.Context, s Step, err error) *Failure {
	f := failed(ctx, s, err)
	if f.Fault != delivery.FaultNone || f.Code == codeClosing {
		c.raw.broken = true
	}
	return f
}

// clear makes sure that an idle connection still works.
func (c *Conn) clear(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, clearWait)
	defer cancel()
	release := c.bind(ctx)
	err := c.client.Reset()
	c.fresh = err == nil
	return release() && err == nil
}

// clearWait bounds the question whether an idle connection still works, quitWait the goodbye.
const (
	clearWait = 5 * time.Second
	quitWait  = 250 * time.Millisecond
)

// close says goodbye if that can be done at once, and closes.
func (c *Conn) close() {
	if !c.raw.broken {
		ctx, cancel := context.WithTimeout(context.Background(), quitWait)
		defer cancel()
		defer c.bind(ctx)()
		_ = c.client.Quit()
	}
	_ = c.raw.Close()
}

// hello is the name we introduce ourselves with: a host name with a dot, else our address as RFC 5321 wants it then.
func (c *Conn) hello() string {
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

// limited is a connection that lets a relay say only so much, so that an endless reply ends.
type limited struct {
	net.Conn
	left   int
	broken bool
}

// Read reads at most what is left.
func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, textproto.ProtocolError("the relay's response is too long")
	}
	n, err := l.Conn.Read(b[:min(len(b), l.left)])
	l.left -= n
	return n, err
}
