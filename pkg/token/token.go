// Package token gets access tokens of OAuth 2.0 (RFC 6749) for a service that signs in somewhere, by client credentials or by a
// refresh token, and keeps them while they live.
//
// golang.org/x/oauth2 words the request and reads the answer, and singleflight joins those who ask at once. Ours is what they leave
// open: a token is replaced a while before it ends and when it is refused, answers have an end, redirects are not followed, a context
// goes with each call, and errors tell nothing that an endpoint might have echoed.
package token

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"
)

// Options are what a source gets tokens with.
type Options struct {
	// URL is the token endpoint. Errors name its host, and no more of it.
	URL string
	// ClientID and ClientSecret go in HTTP Basic, or in the body where that is refused. Without a secret the client is a public one,
	// whose id goes in the body.
	ClientID, ClientSecret string
	// Scopes are asked for; none: what the endpoint gives by itself.
	Scopes []string
	// Parameters go into each request beside those of RFC 6749, e.g. audience, or resource (RFC 8707). CheckParameter says which may.
	Parameters url.Values
	// Transport carries the requests, and decides what may be dialled. Required.
	Transport http.RoundTripper
	// Margin is how long before its end a token is replaced, at most. One that lives shortly is used for three quarters of its life.
	Margin time.Duration
	// Refresh, if set, gives the refresh token for the next request. Empty: client credentials.
	Refresh func() string
	// Rotated, if set, is told of a refresh token that came in place of the one that was sent. No other request is made until it
	// returns. The context is that of whoever asked, and may have ended.
	Rotated func(ctx context.Context, sent, refresh string)
}

// Source gets tokens of one endpoint for one client, one request at a time, and keeps the last. It serves many goroutines and has
// none of its own.
type Source struct {
	o      Options
	at     *url.URL
	client *http.Client
	asking singleflight.Group

	mu    sync.Mutex
	token string
	// until is when the token is replaced; zero: when it is refused.
	until time.Time
	// style is how the endpoint takes the client's credentials: HTTP Basic, as it must be able to, until that is refused.
	style oauth2.AuthStyle
}

// New makes a source. It asks for nothing yet.
func New(o Options) *Source {
	s := &Source{o: o, style: oauth2.AuthStyleInHeader, client: &http.Client{
		Transport:     Lenient(o.Transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if u, err := url.Parse(o.URL); err == nil && u.Host != "" {
		s.at = u
	}
	if o.ClientSecret == "" {
		s.style = oauth2.AuthStyleInParams
	}
	return s
}

// Get is a token that lives: the kept one, or another. Those who ask at once share one request and what comes of it; it is bound by
// the context of the first, and if that ends, the next of them asks. The error is an *Error.
func (s *Source) Get(ctx context.Context) (string, error) {
	for {
		if token := s.kept(time.Now()); token != "" {
			return token, nil
		}
		got, err, _ := s.asking.Do("", func() (any, error) {
			// Another round may have ended between the look above and this one.
			if token := s.kept(time.Now()); token != "" {
				return token, nil
			}
			return s.ask(ctx)
		})
		var failed *Error
		switch {
		case err == nil:
			token, _ := got.(string)
			return token, nil
		case errors.As(err, &failed) && failed.abandoned && ctx.Err() == nil:
			// Who asked for all ran out of time or was called off, this one did not.
		default:
			return "", err
		}
	}
}

// Forget drops a token that was refused, so that the next Get asks for another. It does nothing if another is kept by now.
func (s *Source) Forget(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == token {
		s.token = ""
	}
}

// CloseIdle closes the connections that are not in use.
func (s *Source) CloseIdle() { s.client.CloseIdleConnections() }

// kept is the token that is kept, or empty if there is none of use.
func (s *Source) kept(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.until.IsZero() && !now.Before(s.until) {
		return ""
	}
	return s.token
}

// ask gets a token from the endpoint and keeps it. Its error is an *Error.
func (s *Source) ask(ctx context.Context) (string, error) {
	refresh := ""
	if s.o.Refresh != nil {
		refresh = s.o.Refresh()
	}
	asked := time.Now()
	token, style, err := s.either(ctx, refresh)
	if err == nil {
		err = check(token)
	}
	if err != nil {
		return "", s.explain(ctx, err, refresh)
	}
	s.keep(token, style, asked)
	if refresh != "" && token.RefreshToken != "" && token.RefreshToken != refresh && s.o.Rotated != nil {
		s.o.Rotated(ctx, refresh, token.RefreshToken)
	}
	return token.AccessToken, nil
}

// either asks with the credentials in HTTP Basic, and in the body where that is refused. Of two refusals it gives the one that
// speaks of more than the client's credentials.
func (s *Source) either(ctx context.Context, refresh string) (*oauth2.Token, oauth2.AuthStyle, error) {
	s.mu.Lock()
	style := s.style
	s.mu.Unlock()
	token, err := s.request(ctx, refresh, style)
	if err == nil || style != oauth2.AuthStyleInHeader || !refusesBasic(err, refresh) {
		return token, style, err
	}
	token, again := s.request(ctx, refresh, oauth2.AuthStyleInParams)
	if again == nil || refusesClient(err) && refuses(again) && !refusesClient(again) {
		return token, oauth2.AuthStyleInParams, again
	}
	return nil, style, err
}

func (s *Source) request(ctx context.Context, refresh string, style oauth2.AuthStyle) (*oauth2.Token, error) {
	if s.at == nil {
		return nil, errURL
	}
	config := clientcredentials.Config{
		ClientID: s.o.ClientID, ClientSecret: s.o.ClientSecret, TokenURL: s.o.URL, Scopes: s.o.Scopes, AuthStyle: style,
	}
	config.EndpointParams = maps.Clone(s.o.Parameters)
	if refresh != "" {
		if config.EndpointParams == nil {
			config.EndpointParams = url.Values{}
		}
		config.EndpointParams.Set("grant_type", "refresh_token")
		config.EndpointParams.Set("refresh_token", refresh)
	}
	return config.Token(context.WithValue(ctx, oauth2.HTTPClient, s.client))
}

func (s *Source) keep(token *oauth2.Token, style oauth2.AuthStyle, asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token, s.until, s.style = token.AccessToken, time.Time{}, style
	if !token.Expiry.IsZero() {
		s.until = token.Expiry.Add(-min(s.o.Margin, token.Expiry.Sub(asked)/4))
	}
}

// check refuses what can't be sent as a bearer token (RFC 6750): other types, and characters that would end a header or a command.
func check(token *oauth2.Token) error {
	if kind := strings.TrimSpace(token.TokenType); !isBearer(kind) {
		return &typeError{kind}
	}
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errText
	}
	return nil
}

// isBearer reports a type that endpoints give tokens which are to be sent as RFC 6750 has it: `Bearer` in any case (RFC 6749, 5.1), no
// type, Apigee's `BearerToken`, and the format of the token in place of its type.
func isBearer(kind string) bool {
	return slices.Contains([]string{"", "bearer", "bearertoken", "bearer_token", "bearer token", "jwt"}, strings.ToLower(kind))
}
