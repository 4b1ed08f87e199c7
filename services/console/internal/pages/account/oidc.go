package account

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
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
	p := &OIDC{o: o, back: base + callbackPath, client: &http.Client{Timeout: providerTimeout}}
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
	claims, err := d.oidc.redeem(r.Context(), r.URL.Query().Get("code"), a)
	if err != nil {
		return d.providerFails(r, err)
	}
	who, err := d.identity(r.Context(), claims)
	if err != nil {
		d.logRefusal(r, web.ByOIDC)
		return err
	}
	return d.startSession(r, a.Next, who)
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

// redeem exchanges a code for the ID token and verifies its signature, issuer, audience, expiry and nonce.
func (p *OIDC) redeem(ctx context.Context, code string, a authRequest) (map[string]any, error) {
	provider, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	config := p.config(provider)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, fmt.Errorf("redeem the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, fmt.Errorf("redeem the code: the response has no ID token")
	}
	id, err := provider.Verifier(&oidc.Config{ClientID: p.o.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("verify the ID token: %w", err)
	}
	if !secret.Equal(id.Nonce, a.Nonce) {
		return nil, fmt.Errorf("verify the ID token: the nonce does not match")
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nil, fmt.Errorf("read the ID token: %w", err)
	}
	return claims, nil
}

// identity returns the identity in claims.
func (d signIn) identity(ctx context.Context, claims map[string]any) (web.Identity, error) {
	o := d.oidc.o
	name, _ := claims[o.UsernameClaim].(string)
	name = strings.ToLower(name)
	if !usable(name) {
		return web.Identity{}, web.Fail(http.StatusForbidden, "The OpenID provider did not send a valid user name",
			"It must send the claim "+o.UsernameClaim+", without spaces.")
	}
	if verified, _ := claims["email_verified"].(bool); o.UsernameClaim == claimEmail && !verified {
		return web.Identity{}, web.Fail(http.StatusForbidden, "Your email address is not verified",
			"Verify your email address with the OpenID provider, then sign in again.")
	}
	display, _ := claims["name"].(string)
	who := web.Identity{Kind: web.ByOIDC, Name: name, DisplayName: printableName(display), Role: o.roleOf(claims)}
	who.RoleGiven = who.Role != 0
	u, err := d.userNamed(ctx, name)
	if err != nil {
		return who, err
	}
	switch {
	case u.GetDisabled():
		return who, web.Fail(http.StatusForbidden, "Your account is disabled", "Ask an administrator to enable the user "+name+".")
	case who.RoleGiven:
	case u != nil:
		who.Role = web.RoleOf(u.GetRole())
	default:
		// Validate has checked the role.
		who.Role, _ = roleNamed(o.DefaultRole)
	}
	if who.Role == 0 {
		return who, web.Fail(http.StatusForbidden, "You have no role", "Ask an administrator to assign you a role.")
	}
	return who, nil
}

func (d signIn) userNamed(ctx context.Context, name string) (*outboundv1.User, error) {
	all, err := outboundv1.NewAccessServiceClient(d.site.Service).ListUsers(ctx, &outboundv1.ListUsersRequest{})
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all.GetUsers(), func(u *outboundv1.User) bool { return u.GetName() == name }); i >= 0 {
		return all.GetUsers()[i], nil
	}
	return nil, nil
}

// maxName is the length limit of a name.
const maxName = 200

// usable reports whether a name of the provider can be the actor of a revision. It must differ from a token (`token x`), the admin
// token and
// Outbound.
func usable(name string) bool {
	return name != "" && len(name) <= maxName && name != rpc.RoleAdmin.String() && name != "outbound" && name == printableName(name) &&
		!strings.ContainsFunc(name, unicode.IsSpace)
}

// printableName removes control and formatting characters.
func printableName(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxName {
		return strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}
