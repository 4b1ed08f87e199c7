package httpsender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

const (
	// maxTokenAnswer is how long a token server's answer may be. Tokens that carry claims have a few KiB.
	maxTokenAnswer = 64 << 10
	// maxTokenMargin is how long before its end a token is replaced, at most; one that lives shortly is used for three quarters of
	// its life.
	maxTokenMargin = 30 * time.Second
	// tokenConnections are enough: deliveries that want a token at once share one request.
	tokenConnections = 1
)

// errTokenTooLong says that a token server answered without end.
var errTokenTooLong = errors.New("token answer too long")

// tokens gets and keeps the OAuth 2.0 token of one revision of a recipient (client credentials, RFC 6749, 4.4).
type tokens struct {
	host      string
	config    clientcredentials.Config
	transport *http.Transport
	asking    singleflight.Group

	mu    sync.Mutex
	token *oauth2.Token
	// until is when the token is replaced; zero: when it is refused.
	until time.Time
	// style is how the token server takes the client's credentials: HTTP Basic, as it must be able to, until that is refused.
	style oauth2.AuthStyle
}

// tokenError says at which step no token could be had, in words for operators.
type tokenError struct {
	words string
	err   error
}

// Error says what happened, without secrets.
func (e *tokenError) Error() string { return e.words }

// Unwrap is the cause.
func (e *tokenError) Unwrap() error { return e.err }

func newTokens(a *recipient.OAuth2, policy recipient.URLPolicy, o egress.TransportOptions) (*tokens, error) {
	if err := recipient.CheckURL(a.TokenURL, policy); err != nil {
		return nil, fmt.Errorf("%w: http.auth.oauth2.tokenUrl %w", errAuth, err)
	}
	u, err := url.Parse(a.TokenURL)
	if err != nil {
		return nil, fmt.Errorf("%w: http.auth.oauth2.tokenUrl can't be read", errAuth)
	}
	o.MaxConns = tokenConnections
	return &tokens{
		host: u.Host, transport: egress.NewTransport(o), style: oauth2.AuthStyleInHeader,
		config: clientcredentials.Config{ClientID: a.ClientID, ClientSecret: a.ClientSecret, TokenURL: a.TokenURL, Scopes: a.Scopes},
	}, nil
}

// get is a token that lives. Refused, if not empty, is one that the receiver does not take: another is asked for unless there is
// one by now. Deliveries that ask at once share one request and what comes of it. The error is a *tokenError.
func (t *tokens) get(ctx context.Context, refused string) (string, error) {
	for {
		if token := t.kept(time.Now(), refused); token != "" {
			return token, nil
		}
		got, err, _ := t.asking.Do("", func() (any, error) {
			// Another round may have ended between the look above and this one.
			if token := t.kept(time.Now(), refused); token != "" {
				return token, nil
			}
			return t.ask(ctx)
		})
		switch {
		case err == nil:
			token, _ := got.(string)
			return token, nil
		case errors.Is(err, context.Canceled) && ctx.Err() == nil:
			// The delivery that asked for all was called off, this one was not.
		default:
			return "", err
		}
	}
}

// kept is the token that is kept, or empty if there is none of use.
func (t *tokens) kept(now time.Time, refused string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == nil || t.token.AccessToken == refused || !t.until.IsZero() && !now.Before(t.until) {
		return ""
	}
	return t.token.AccessToken
}

// ask gets a token from the server: with the credentials in HTTP Basic, and in the body where that is refused.
func (t *tokens) ask(ctx context.Context) (string, error) {
	asked := time.Now()
	token, err := t.request(ctx, t.style)
	var answer *oauth2.RetrieveError
	if errors.As(err, &answer) && t.style == oauth2.AuthStyleInHeader && refusesBasic(answer) {
		var again error
		if token, again = t.request(ctx, oauth2.AuthStyleInParams); again == nil {
			t.style, err = oauth2.AuthStyleInParams, nil
		}
	}
	if err == nil {
		err = checkToken(token)
	}
	if err != nil {
		return "", t.explain(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.until = token, time.Time{}
	if !token.Expiry.IsZero() {
		t.until = token.Expiry.Add(-min(maxTokenMargin, token.Expiry.Sub(asked)/4))
	}
	return token.AccessToken, nil
}

// refusesBasic reports an answer that may come of the way the credentials were sent.
func refusesBasic(e *oauth2.RetrieveError) bool {
	return e.Response.StatusCode == http.StatusBadRequest || e.Response.StatusCode == http.StatusUnauthorized
}

func (t *tokens) request(ctx context.Context, style oauth2.AuthStyle) (*oauth2.Token, error) {
	config := t.config
	config.AuthStyle = style
	client := &http.Client{
		Transport:     bounded{t.transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
}

func checkToken(token *oauth2.Token) error {
	switch {
	case !strings.EqualFold(token.Type(), "Bearer"):
		return &tokenError{words: "its token is of a type other than Bearer"}
	case !render.ValidHeaderValue(token.AccessToken):
		return &tokenError{words: "its token has control characters"}
	default:
		return nil
	}
}

// explain says at which step an error arose. Nothing of an answer is repeated but the code of the error, which has no secrets.
func (t *tokens) explain(err error) *tokenError {
	out := &tokenError{err: err}
	var own *tokenError
	var dial *egress.DialError
	var answer *oauth2.RetrieveError
	var at *url.Error
	var what string
	switch {
	case errors.As(err, &own):
		what = own.words
	case errors.As(err, &dial):
		what = dial.Error()
	case errors.Is(err, context.DeadlineExceeded):
		what = "no answer in time"
	case errors.Is(err, context.Canceled):
		what = "called off"
	case errors.As(err, &answer):
		what = answered(answer)
	case errors.Is(err, errTokenTooLong):
		what = fmt.Sprintf("its answer is longer than %d KiB", maxTokenAnswer>>10)
	case errors.As(err, &at):
		what = "it closed the connection without an answer, or its answer is not HTTP/1.1"
	default:
		what = "its answer holds no token"
	}
	out.words = "OAuth 2.0: no token from " + t.host + ": " + what
	return out
}

func answered(e *oauth2.RetrieveError) string {
	status := e.Response.StatusCode
	words := "it answered " + statusText(status)
	if status >= 300 && status < 400 {
		return words + ": redirects are not followed"
	}
	if code := e.ErrorCode; code != "" && len(code) <= 64 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") == "" {
		words += " (" + code + ")"
	}
	if status == http.StatusUnauthorized || e.ErrorCode == "invalid_client" {
		words += ": check clientId and clientSecret"
	}
	return words
}

// bounded is a transport whose answers have an end: they are read at once, and are an error beyond maxTokenAnswer.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
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
