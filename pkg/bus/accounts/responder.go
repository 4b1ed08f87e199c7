package accounts

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/internal/passwords"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// The protocol of nats-server's auth callout.
const (
	subjectCallout = "$SYS.REQ.USER.AUTH"
	calloutQueue   = "outbound"
	headerXKey     = "Nats-Server-Xkey"
	calloutRequest = "nats-authorization-request"
)

// signingIn bounds how many sign-ins are answered at once. Of more, clients try again.
const signingIn = 1024

// Responder tells nats-server who may sign in with a name and a password. Those of several processes share the work.
type Responder struct {
	nc        *nats.Conn
	keys      *Keys
	passwords *passwords.Set
	logger    *slog.Logger
	slots     chan struct{}
	answering sync.WaitGroup

	// known is closed at the first call of Replace.
	known     chan struct{}
	knownOnce sync.Once
}

// NewResponder connects to answer sign-ins. It knows no appliance yet, and answers once it runs. A broker that is away is waited for until
// ctx ends.
func NewResponder(ctx context.Context, o bus.Options, keys *Keys) (*Responder, error) {
	o.Name += ".sign-in"
	nc, err := o.ConnectPlain(ctx, nats.UserJWT(keys.token, keys.responder.Sign))
	if err != nil {
		return nil, err
	}
	return &Responder{nc: nc, keys: keys, passwords: passwords.New(), logger: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		slots: make(chan struct{}, signingIn), known: make(chan struct{})}, nil
}

// token is the responder's own user.
func (k *Keys) token() (string, error) {
	key, err := public(k.responder)
	if err != nil {
		return "", err
	}
	c := jwt.NewUserClaims(key)
	c.Name = "outbound.responder"
	text, err := c.Encode(k.signIn)
	if err != nil {
		return "", fmt.Errorf("sign the user that answers sign-ins: %w", err)
	}
	return text, nil
}

// Close closes the connection.
func (r *Responder) Close() { r.nc.Close() }

// Replace sets which appliances may sign in: the bcrypt hash of the password of each.
func (r *Responder) Replace(hashes map[string]string) {
	r.passwords.Replace(hashes)
	r.knownOnce.Do(func() { close(r.known) })
}

// Run answers until ctx ends, from the first call of Replace on: a refusal before would be final for many clients.
func (r *Responder) Run(ctx context.Context) error {
	select {
	case <-r.known:
	case <-ctx.Done():
		return nil
	}
	sub, err := r.nc.QueueSubscribe(subjectCallout, calloutQueue, func(m *nats.Msg) {
		select {
		case r.slots <- struct{}{}:
		default:
			return // the client's attempt times out, and it makes another
		}
		r.answering.Go(func() {
			defer func() { <-r.slots }()
			r.answer(ctx, m)
		})
	})
	if err != nil {
		return fmt.Errorf("answer the sign-ins of appliances: %w", err)
	}
	<-ctx.Done()
	err = sub.Unsubscribe()
	r.answering.Wait()
	if err != nil {
		return fmt.Errorf("stop to answer the sign-ins of appliances: %w", err)
	}
	return nil
}

// answer answers one sign-in. What can't be read is not answered: it is not from nats-server.
func (r *Responder) answer(ctx context.Context, m *nats.Msg) {
	from := m.Header.Get(headerXKey)
	text, err := r.keys.sealing.Open(m.Data, from)
	if err != nil {
		r.logger.WarnContext(ctx, "sign-in request not read", telemetry.KeyError, err.Error())
		return
	}
	q, err := jwt.DecodeAuthorizationRequestClaims(string(text))
	if err != nil || q.Audience != calloutRequest || q.Server.XKey != from {
		r.logger.WarnContext(ctx, "sign-in request not read", telemetry.KeyError, fmt.Sprint(err))
		return
	}
	answer, err := r.decide(ctx, q)
	if err == nil {
		answer, err = r.keys.sealing.Seal(answer, from)
	}
	if err == nil {
		err = m.Respond(answer)
	}
	if err != nil {
		r.logger.WarnContext(ctx, "sign-in not answered", telemetry.KeyError, err.Error())
	}
}

// decide returns the signed answer to a sign-in.
func (r *Responder) decide(ctx context.Context, q *jwt.AuthorizationRequestClaims) ([]byte, error) {
	a := jwt.NewAuthorizationResponseClaims(q.UserNkey)
	a.Audience = q.Server.ID
	id := q.ConnectOptions.Username
	hash := r.prove(ctx, q)
	if hash == "" {
		a.Error = "unknown appliance or wrong password"
	} else {
		pair, err := r.keys.appliance(id, hash)
		if err != nil {
			return nil, err
		}
		if a.Jwt, err = user(pair, id, q.UserNkey); err != nil {
			return nil, err
		}
	}
	text, err := a.Encode(r.keys.signIn)
	if err != nil {
		return nil, fmt.Errorf("sign the answer to a sign-in: %w", err)
	}
	return []byte(text), nil
}

// prove returns the hash that the password fits, or nothing.
func (r *Responder) prove(ctx context.Context, q *jwt.AuthorizationRequestClaims) string {
	id, password, address := q.ConnectOptions.Username, q.ConnectOptions.Password, q.ClientInformation.Host
	if !event.ValidAppliance(id) || password == "" {
		return ""
	}
	return r.passwords.Await(ctx.Done(), address, id, password)
}

// user is an appliance's user for one connection, as the embedded broker lets it in.
func user(account nkeys.KeyPair, id, key string) (string, error) {
	c := jwt.NewUserClaims(key)
	c.Name = id
	c.Pub.Allow.Add(bus.ApplianceSubjects(id))
	// A client may have any inbox of its own: nobody else is in its account.
	c.Sub.Allow.Add(">")
	c.Sub.Deny.Add(bus.ApplianceDenied()...)
	text, err := c.Encode(account)
	if err != nil {
		return "", fmt.Errorf("sign the user of appliance %s: %w", id, err)
	}
	return text, nil
}
