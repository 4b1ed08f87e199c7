package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// OAuth2 is how access tokens are got: by the refresh token if there is one, else by client credentials. Scopes are joined by
// blanks.
type OAuth2 struct {
	TokenURL, ClientID, ClientSecret, RefreshToken, Scopes string
}

const (
	// maxTokenAnswer is how long an endpoint's answer may be.
	maxTokenAnswer = 64 << 10
	// maxTokenMargin is how long before its end a token is replaced, at most; one that lives shortly is used for three quarters of
	// its life.
	maxTokenMargin = time.Minute
	// keepWait bounds the handing back of a rotated refresh token.
	keepWait = 5 * time.Second
)

var (
	errTokenTooLong = fmt.Errorf("its answer is longer than %d KiB", maxTokenAnswer>>10)
	errTokenType    = errors.New("its token is of a type other than Bearer")
	errTokenText    = errors.New("its token has characters that no token has")
)

// tokens gets and keeps the access token for a relay.
type tokens struct {
	// key is how they are got, but for the refresh token, which endpoints may rotate.
	key    Relay
	client *http.Client
	kept   func(ctx context.Context, stored OAuth2, rotated string) error
	asking singleflight.Group

	mu    sync.Mutex
	token string
	// until is when the token is replaced; zero: when it is refused.
	until time.Time
	// refresh is the refresh token to be used next, told the one that the settings told last. Stored is the one that is stored: told,
	// or what was handed back since.
	refresh, told, stored string
	// known are all refresh tokens that there have been.
	known map[string]bool
	style oauth2.AuthStyle
}

// way is what tells one way to tokens from another.
func way(r Relay) Relay {
	o := r.OAuth2
	o.RefreshToken = ""
	return Relay{CAPEM: r.CAPEM, OAuth2: o}
}

func newTokens(r Relay, kept func(context.Context, OAuth2, string) error) *tokens {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots(r.CAPEM)},
	}
	style := oauth2.AuthStyleInHeader
	if r.OAuth2.ClientSecret == "" {
		style = oauth2.AuthStyleInParams // a public client has nothing to put into a header
	}
	return &tokens{key: way(r), kept: kept, known: map[string]bool{}, style: style, client: &http.Client{
		Transport: bounded{t}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// roots are the system's and the relay's own.
func roots(caPEM string) *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil || caPEM == "" {
		return pool
	}
	pool.AppendCertsFromPEM([]byte(caPEM))
	return pool
}

func (t *tokens) serves(r Relay) bool { return t.key == way(r) }

func (t *tokens) close() { t.client.CloseIdleConnections() }

// adopt takes over the refresh token of the settings, unless it is one that was rotated meanwhile.
func (t *tokens) adopt(refresh string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told == refresh {
		return
	}
	t.told, t.stored = refresh, refresh
	if !t.known[refresh] {
		t.known[refresh], t.refresh = true, refresh
	}
}

// get is a token that lives. Refused, if not empty, is one that the relay does not take. Those who ask at once share one request
// and what comes of it.
func (t *tokens) get(ctx context.Context, refused string) (string, *Failure) {
	for {
		if token := t.living(time.Now(), refused); token != "" {
			return token, nil
		}
		got, err, _ := t.asking.Do("", func() (any, error) {
			if token := t.living(time.Now(), refused); token != "" {
				return token, nil
			}
			return t.ask(ctx)
		})
		switch {
		case err == nil:
			token, _ := got.(string)
			return token, nil
		case errors.Is(err, context.Canceled) && ctx.Err() == nil:
			// Who asked for all was called off, this one was not.
		default:
			return "", t.failed(ctx, err)
		}
	}
}

// living is the token that is kept, or empty if there is none of use.
func (t *tokens) living(now time.Time, refused string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == refused || !t.until.IsZero() && !now.Before(t.until) {
		return ""
	}
	return t.token
}

// ask gets a token from the endpoint: with the client's credentials in HTTP Basic, and in the body where that is refused.
func (t *tokens) ask(ctx context.Context) (string, error) {
	t.mu.Lock()
	refresh, style := t.refresh, t.style
	t.mu.Unlock()
	asked := time.Now()
	token, err := t.request(ctx, refresh, style)
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && style == oauth2.AuthStyleInHeader && refusesClient(answer) {
		style = oauth2.AuthStyleInParams
		token, err = t.request(ctx, refresh, style)
	}
	switch {
	case err != nil:
		return "", err
	case !strings.EqualFold(token.Type(), "Bearer"):
		return "", errTokenType
	case strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errTokenText
	}
	t.mu.Lock()
	t.token, t.until, t.style = token.AccessToken, time.Time{}, style
	if !token.Expiry.IsZero() {
		t.until = token.Expiry.Add(-min(maxTokenMargin, token.Expiry.Sub(asked)/4))
	}
	rotated := refresh != "" && token.RefreshToken != "" && token.RefreshToken != refresh
	if rotated {
		t.refresh, t.known[token.RefreshToken] = token.RefreshToken, true
	}
	t.mu.Unlock()
	if rotated {
		t.keep(ctx)
	}
	return token.AccessToken, nil
}

// keep hands a rotated refresh token back. If that fails it is used all the same, and handed back with the next one.
func (t *tokens) keep(ctx context.Context) {
	t.mu.Lock()
	o, rotated := t.key.OAuth2, t.refresh
	o.RefreshToken = t.stored
	t.mu.Unlock()
	if t.kept == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWait)
	defer cancel()
	if err := t.kept(ctx, o, rotated); err != nil {
		slog.Warn("the relay's token endpoint gave a new refresh token, which was not stored: it is lost if this sender ends", "error", err.Error())
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stored = rotated
}

// refusesClient reports an answer that may come of the way the credentials were sent.
func refusesClient(e *oauth2.RetrieveError) bool {
	return e.Response.StatusCode == http.StatusUnauthorized || e.Response.StatusCode == http.StatusBadRequest && e.ErrorCode != "invalid_grant"
}

func (t *tokens) request(ctx context.Context, refresh string, style oauth2.AuthStyle) (*oauth2.Token, error) {
	o := t.key.OAuth2
	config := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: strings.Fields(o.Scopes), AuthStyle: style}
	if refresh != "" {
		config.EndpointParams = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
	}
	return config.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
}

// failed says at which step no token could be had. Nothing of an answer is repeated but the code of the error, which has no secrets.
func (t *tokens) failed(ctx context.Context, err error) *Failure {
	f := &Failure{Step: StepToken, Fault: delivery.FaultAuth}
	host := t.key.OAuth2.TokenURL
	if u, bad := url.Parse(host); bad == nil {
		host = u.Host
	}
	var answer *oauth2.RetrieveError
	var at *url.Error
	var verify *tls.CertificateVerificationError
	what := "its answer holds no token"
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		f.Fault, what = delivery.FaultShutdown, "called off"
	case errors.Is(err, context.DeadlineExceeded):
		what = "no answer in time"
	case errors.As(err, &answer):
		what = refusal(answer)
	case errors.Is(err, errTokenTooLong), errors.Is(err, errTokenType), errors.Is(err, errTokenText):
		what = innermost(err).Error()
	case errors.As(err, &verify):
		what = "its certificate is not trusted: " + verify.Err.Error()
	case errors.As(err, &at):
		what = "it can't be reached, or does not speak HTTP: " + innermost(at.Err).Error()
	}
	f.Cause = errors.New("no access token from " + host + ": " + what)
	return f
}

// innermost is the cause of causes, which names no URL.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

func refusal(e *oauth2.RetrieveError) string {
	status := e.Response.StatusCode
	words := fmt.Sprintf("it answered %d", status)
	if status >= 300 && status < 400 {
		return words + ": redirects are not followed"
	}
	if code := e.ErrorCode; code != "" && len(code) <= 64 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") == "" {
		words += " (" + code + ")"
	}
	switch {
	case e.ErrorCode == "invalid_grant":
		words += ": the refresh token has ended or was revoked, give a new one"
	case status == http.StatusUnauthorized || e.ErrorCode == "invalid_client":
		words += ": check clientId and clientSecret"
	}
	return words
}

// bounded is a transport whose answers have an end: they are read at once, and are an error beyond maxTokenAnswer.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer+1))
	_ = resp.Body.Close() // it was read to its end, or is of no interest
	if err != nil {
		return nil, err
	}
	if len(body) > maxTokenAnswer {
		return nil, errTokenTooLong
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
