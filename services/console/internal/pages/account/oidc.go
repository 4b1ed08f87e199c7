package account

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/token"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// callbackPath is the redirect path for the provider.
const callbackPath = "/sign-in/oidc/callback"

// OIDC signs users in with an OpenID provider: authorization code flow with PKCE, state and nonce.
type OIDC struct {
	o      OIDCOptions
	secret string
	back   string
	client *http.Client
	// exchange is the client for the token endpoint.
	exchange *http.Client

	mu       sync.Mutex
	provider *oidc.Provider
}

// providerTimeout bounds a request to the provider.
const providerTimeout = 10 * time.Second

// NewOIDC creates the sign-in with a provider; base is the public URL of the console. The first sign-in discovers the provider. It returns
// nil without an issuer.
func NewOIDC(o OIDCOptions, base string) (*OIDC, error) {
	if o.Issuer == "" {
		return nil, nil
	}
	p := &OIDC{o: o, back: base + callbackPath, client: &http.Client{Timeout: providerTimeout},
		exchange: &http.Client{Timeout: providerTimeout, Transport: token.Lenient(http.DefaultTransport)}}
	if o.ClientSecretFile != "" {
		var err error
		if p.secret, err = secret.LoadToken(o.ClientSecretFile); err != nil {
			return nil, fmt.Errorf("oidc.clientSecretFile: %w", err)
		}
	}
	return p, nil
}

// Close ends idle connections to the provider.
func (p *OIDC) Close() {
	if p != nil {
		p.client.CloseIdleConnections()
	}
}

// label returns the label of the button; empty without a provider.
func (p *OIDC) label() string {
	if p == nil {
		return ""
	}
	return p.o.Label
}

// discover returns the configuration of the provider. It requests it until the provider responds, then caches it.
func (p *OIDC) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider != nil {
		return p.provider, nil
	}
	// The provider keeps the context for later requests for its keys.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the OpenID provider %s: %w", p.o.Issuer, err)
	}
	p.provider = found
	return found, nil
}

func (p *OIDC) config(provider *oidc.Provider) oauth2.Config {
	return oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.secret, Endpoint: provider.Endpoint(), RedirectURL: p.back,
		Scopes: p.o.Scopes}
}

// authRequest is the state of a sign-in with the provider, kept in an HttpOnly cookie.
type authRequest struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Next     string `json:"x"`
}

const (
	authCookie  = "__Host-outbound-oidc"
	authTimeout = 10 * time.Minute
)

func (d signIn) toProvider(r *web.Request) error {
	if wait := d.tooMany(r, ""); wait > 0 {
		return d.refuseTooMany(r, &web.Form{}, wait)
	}
	provider, err := d.oidc.discover(r.Context())
	if err != nil {
		return d.providerFails(r, err)
	}
	a := authRequest{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(),
		Next: web.LocalPath(r.URL.Query().Get("next"))}
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode the sign-in request: %w", err)
	}
	http.SetCookie(r.W, web.HostCookie(authCookie, base64.RawURLEncoding.EncodeToString(b), authTimeout))
	config := d.oidc.config(provider)
	http.Redirect(r.W, r.Request, config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), http.StatusFound)
	return nil
}

func (d signIn) providerFails(r *web.Request, err error) error {
	d.site.Logger.Warn("sign-in with OpenID Connect failed", telemetry.KeyClient, r.Client(), telemetry.KeyError, err.Error())
	return web.Fail(http.StatusBadGateway, "Sign-in with the OpenID provider failed",
		"Try again in a moment. The console's log contains the response of the provider.")
}

// fromProvider handles the redirect back from the provider.
func (d signIn) fromProvider(r *web.Request) error {
	a, ok := takeAuthRequest(r)
	if !ok || !secret.Equal(r.URL.Query().Get("state"), a.State) {
		return web.Fail(http.StatusBadRequest, "Sign-in expired",
			"The sign-in took longer than 10 minutes or started in another browser. Sign in again.")
	}
	if problem := r.URL.Query().Get("error"); problem != "" {
		return d.providerFails(r, fmt.Errorf("the provider responded %q: %q", problem, r.URL.Query().Get("error_description")))
	}
	who, err := d.oidc.redeem(r.Context(), r.URL.Query().Get("code"), a)
	if err != nil {
		return d.providerFails(r, err)
	}
	identity, err := d.identity(r, who)
	if err != nil {
		return d.refused(r, err)
	}
	return d.startSession(r, a.Next, identity)
}

// takeAuthRequest reads the state of a sign-in and deletes its cookie.
func takeAuthRequest(r *web.Request) (a authRequest, ok bool) {
	c, err := r.Cookie(authCookie)
	if err != nil {
		return a, false
	}
	http.SetCookie(r.W, web.HostCookie(authCookie, "", -time.Second))
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	return a, err == nil && json.Unmarshal(b, &a) == nil && a.State != "" && a.Nonce != "" && a.Verifier != ""
}

// person is whom the provider has identified.
type person struct {
	// issuer and subject are who it is, for ever (OIDC Core 1.0, 5.7).
	issuer, subject string
	// claims are those of the ID token, and of the userinfo endpoint where the ID token lacks them.
	claims map[string]any
	// userinfo is why the userinfo endpoint gave nothing, if it was asked and did not.
	userinfo error
}

// redeem exchanges a code for the ID token and verifies its signature, issuer, audience, expiry and nonce.
func (p *OIDC) redeem(ctx context.Context, code string, a authRequest) (person, error) {
	provider, err := p.discover(ctx)
	if err != nil {
		return person{}, err
	}
	config := p.config(provider)
	got, err := config.Exchange(oidc.ClientContext(ctx, p.exchange), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return person{}, fmt.Errorf("redeem the code: %w", p.withoutSecrets(err, code))
	}
	raw, ok := got.Extra("id_token").(string)
	if !ok {
		return person{}, errors.New("redeem the code: the response has no ID token")
	}
	ctx = oidc.ClientContext(ctx, p.client)
	id, err := provider.Verifier(&oidc.Config{ClientID: p.o.ClientID}).Verify(ctx, raw)
	if err != nil {
		return person{}, fmt.Errorf("verify the ID token: %w", err)
	}
	if !secret.Equal(id.Nonce, a.Nonce) {
		return person{}, errors.New("verify the ID token: the nonce does not match")
	}
	if id.Subject == "" {
		return person{}, errors.New("verify the ID token: it has no subject (sub)")
	}
	who := person{issuer: id.Issuer, subject: id.Subject, claims: map[string]any{}}
	if err := id.Claims(&who.claims); err != nil {
		return person{}, fmt.Errorf("read the ID token: %w", err)
	}
	if p.o.lacks(who.claims) && provider.UserInfoEndpoint() != "" {
		who.userinfo = p.askUserinfo(ctx, provider, got.AccessToken, who)
	}
	return who, nil
}

// withoutSecrets words what the provider responded instead of a token: the code and description of RFC 6749 (5.2), unless a secret
// shows in them.
func (p *OIDC) withoutSecrets(err error, code string) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return err
	}
	said := fmt.Sprintf("%q: %.200q", answer.ErrorCode, answer.ErrorDescription)
	for _, secret := range []string{p.secret, code} {
		if secret != "" && strings.Contains(said, secret) {
			said = "its words contain a secret"
		}
	}
	return fmt.Errorf("the provider responded with HTTP %d, %s", answer.Response.StatusCode, said)
}
