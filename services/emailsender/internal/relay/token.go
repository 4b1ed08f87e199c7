package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/token"
	"github.com/outbound-events/outbound/pkg/trust"
)

// OAuth2 is how access tokens are got: by the refresh token if there is one, else by client credentials. Scopes are joined by
// blanks, and further parameters are encoded as a query.
type OAuth2 struct {
	TokenURL, ClientID, ClientSecret, RefreshToken, Scopes, Parameters string
}

const (
	// tokenMargin is how long before its end a token is replaced, at most.
	tokenMargin = time.Minute
	// keepWait bounds the handing back of a rotated refresh token.
	keepWait = 5 * time.Second
	// limitToken bounds the asking for a token.
	limitToken = 30 * time.Second
)

// tokens gets and keeps the access token for a relay, and follows the refresh token, which endpoints may rotate.
type tokens struct {
	*token.Source
	// key is how they are got, but for the refresh token.
	key  Relay
	kept func(ctx context.Context, stored OAuth2, rotated string) error
	log  *slog.Logger

	mu sync.Mutex
	// refresh is the refresh token to be used next, told the one that the settings told last. Stored is the one that is stored: told,
	// or what was handed back since.
	refresh, announced, stored string
	// known are all refresh tokens that there have been.
	known map[string]bool
}

// way returns what distinguishes one token source from another.
func way(r Relay) Relay {
	o := r.OAuth2
	o.RefreshToken = ""
	return Relay{CAPEM: r.CAPEM, OAuth2: o}
}

func newTokens(r Relay, kept func(context.Context, OAuth2, string) error, log *slog.Logger) *tokens {
	t := &tokens{key: way(r), kept: kept, log: log, known: map[string]bool{}}
	o := r.OAuth2
	parameters, _ := url.ParseQuery(o.Parameters) // which Of has encoded
	t.Source = token.New(token.Options{
		URL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret, Scopes: strings.Fields(o.Scopes), Margin: tokenMargin,
		Parameters: parameters,
		// The operator's own endpoint, as the relay is the operator's own: the proxy of the environment leads there, and no egress rule
		// binds it.
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots(r.CAPEM)},
		},
		Refresh: t.next, Rotated: t.rotated,
	})
	return t
}

// roots are the system's and the relay's own.
func roots(caPEM string) *x509.CertPool {
	anchors, err := trust.New(caPEM)
	if err != nil || anchors == nil {
		return nil
	}
	return anchors.WithSystem().Pool()
}

func (t *tokens) serves(r Relay) bool { return t.key == way(r) }

// await is get as a step of a connection that is made.
func (t *tokens) await(ctx context.Context, d dialing) (string, *Failure) {
	c := &session{slow: d.slow, hurry: d.hurry}
	defer c.watch(StepToken)()
	ctx, cancel := context.WithTimeout(ctx, c.bound(limitToken))
	defer cancel()
	return t.get(ctx)
}

// get is a token that lives.
func (t *tokens) get(ctx context.Context) (string, *Failure) {
	got, err := t.Get(ctx)
	if err == nil {
		return got, nil
	}
	// The message is complete: Line, which shows the innermost cause, stops here.
	f := &Failure{Step: StepToken, Fault: delivery.FaultAuth, Cause: errors.New(err.Error())}
	switch {
	case errors.Is(context.Cause(ctx), errReplaced):
		return "", replaced()
	case errors.Is(ctx.Err(), context.Canceled):
		f.Fault = delivery.FaultShutdown
	}
	return "", f
}

// adopt takes over the refresh token of the settings, unless it is one that was rotated meanwhile.
func (t *tokens) adopt(refresh string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.announced == refresh {
		return
	}
	t.announced, t.stored = refresh, refresh
	if !t.known[refresh] {
		t.known[refresh], t.refresh = true, refresh
	}
}

// next is the refresh token to be used next.
func (t *tokens) next() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refresh
}

// rotated stores a refresh token that the endpoint issued for the one that was sent. If storing fails it is used
// anyway, and stored with the next one. It is not used if the settings have another one since.
func (t *tokens) rotated(ctx context.Context, sent, refresh string) {
	t.mu.Lock()
	t.known[refresh] = true
	current := t.refresh == sent
	if current {
		t.refresh = refresh
	}
	o := t.key.OAuth2
	o.RefreshToken = t.stored
	t.mu.Unlock()
	if t.kept == nil || !current {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWait)
	defer cancel()
	if err := t.kept(ctx, o, refresh); err != nil {
		t.log.Warn("new refresh token of the relay not stored: it is lost if this sender stops", telemetry.KeyError, err.Error())
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored = refresh
}
