package emailsender_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/emailsender"
)

const (
	clientID     = "outbound:1"
	clientSecret = "canary s3cret/+"
)

// endpoint is a real token endpoint over HTTPS. Its tokens are numbered from 1.
type endpoint struct {
	*httptest.Server
	mu sync.Mutex
	// refresh is the refresh token that it takes; empty: it takes client credentials. With rotate, each can be used once.
	refresh string
	rotate  bool
	// life is expires_in, none if 0.
	life   int
	issued int
	// revoked are tokens that the relay does not take any more.
	revoked map[string]bool
	// answer, if set, answers in its place.
	answer http.HandlerFunc
}

func newEndpoint(t *testing.T, cert *tls.Certificate) *endpoint {
	e := &endpoint{life: 3600, revoked: map[string]bool{}}
	e.Server = httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	e.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) serve(w http.ResponseWriter, q *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answer != nil {
		e.answer(w, q)
		return
	}
	id, secret, basic := q.BasicAuth()
	id, secret = strings.ReplaceAll(id, "%3A", ":"), strings.NewReplacer("+", " ", "%2F", "/", "%2B", "+").Replace(secret)
	w.Header().Set("Content-Type", "application/json")
	granted := q.PostFormValue("grant_type") == "client_credentials" && e.refresh == "" ||
		q.PostFormValue("grant_type") == "refresh_token" && e.refresh != "" && q.PostFormValue("refresh_token") == e.refresh
	switch {
	case !basic || id != clientID || secret != clientSecret || q.PostFormValue("scope") != "smtp offline":
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"no such secret: %s"}`, secret)
		return
	case !granted:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"no such token: %s"}`, q.PostFormValue("refresh_token"))
		return
	}
	e.issued++
	out := map[string]any{"access_token": fmt.Sprintf("token-%d", e.issued), "token_type": "bearer"}
	if e.life > 0 {
		out["expires_in"] = e.life
	}
	if e.rotate {
		e.refresh = fmt.Sprintf("refresh-%d", e.issued)
		out["refresh_token"] = e.refresh
	}
	_ = json.NewEncoder(w).Encode(out)
}

// takes is the relay's view of a token.
func (e *endpoint) takes(token string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.HasPrefix(token, "token-") && !e.revoked[token]
}

// set changes the endpoint.
func (e *endpoint) set(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (e *endpoint) tokens() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.issued
}

// relayByToken is a relay that takes the tokens of an endpoint, and the settings for it.
func relayByToken(t *testing.T) (*smtptest.Server, *endpoint, *fixedSettings) {
	t.Helper()
	ca := smtptest.NewCA(t)
	e := newEndpoint(t, ca.Issue(t, "127.0.0.1"))
	srv := smtptest.Start(t, smtptest.Options{Certificate: ca.Issue(t, "127.0.0.1"), Username: "user", Takes: e.takes,
		Mechanisms: []string{"XOAUTH2"}})
	conf := relayOf(srv)
	conf.change(func(c *settings.SMTP) {
		c.Encryption, c.Auth, c.Username, c.CAPEM = settings.STARTTLS, settings.XOAUTH2, "user", ca.PEM
		c.OAuth2 = &settings.RelayOAuth2{TokenURL: e.URL, ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"smtp", "offline"}}
	})
	return srv, e, conf
}

func TestATokenIsGotOnceForManyConnections(t *testing.T) {
	srv, e, conf := relayByToken(t)
	s := emailsender.NewSender(t, options(), conf)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			v, _ := try(t, s, deliveryTo(alice))
			want(t, v, delivery.Delivered, reasons.OK)
		})
	}
	wg.Wait()
	srv.Cut()
	v, _ := try(t, s, deliveryTo(alice))
	want(t, v, delivery.Delivered, reasons.OK)
	if e.tokens() != 1 || srv.CountFor(alice) != 5 || srv.Connections() < 2 {
		t.Errorf("%d tokens for %d mails on %d connections, want 1 for 5", e.tokens(), srv.CountFor(alice), srv.Connections())
	}
	for _, m := range srv.Mails() {
		if m.User != "user" || !m.TLS {
			t.Errorf("mail of %q, TLS %t", m.User, m.TLS)
		}
	}
}

func TestATokenThatTheRelayRefusesIsReplacedOnce(t *testing.T) {
	srv, e, conf := relayByToken(t)
	s := emailsender.NewSender(t, options(), conf)
	try(t, s, deliveryTo(alice))
	srv.Cut()
	e.set(func() { e.revoked["token-1"] = true })
	v, _ := try(t, s, deliveryTo(alice))
	want(t, v, delivery.Delivered, reasons.OK)
	if e.tokens() != 2 {
		t.Errorf("%d tokens were got, want 2", e.tokens())
	}
	srv.Cut()
	e.set(func() { e.revoked = map[string]bool{"token-2": true, "token-3": true} })
	v, o := try(t, s, deliveryTo(alice))
	want(t, v, delivery.Retry, reasons.Auth)
	if e.tokens() != 3 || o.Status != 535 || strings.Contains(v.Detail+string(o.Excerpt), "token-") {
		t.Errorf("%d tokens, status %d, detail %q, excerpt %q", e.tokens(), o.Status, v.Detail, o.Excerpt)
	}
	counts(t, srv, map[string]int{alice: 2})
}

// Of a token that lives a second, three quarters are used; what is waited for is the clock of the token's own life.
func TestATokenIsReplacedBeforeItEnds(t *testing.T) {
	srv, e, conf := relayByToken(t)
	e.set(func() { e.life = 1 })
	s := emailsender.NewSender(t, options(), conf)
	waittest.Until(t, "a third token", func() bool {
		v, _ := try(t, s, deliveryTo(alice))
		want(t, v, delivery.Delivered, reasons.OK)
		srv.Cut()
		return e.tokens() >= 3
	})
}

func TestWhyThereIsNoToken(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*endpoint, *settings.RelayOAuth2)
		says   string
	}{
		"wrong secret": {func(_ *endpoint, o *settings.RelayOAuth2) { o.ClientSecret = "other" },
			"it responded with HTTP 401 Unauthorized (invalid_client): check clientId and clientSecret"},
		"ended refresh": {func(_ *endpoint, o *settings.RelayOAuth2) { o.RefreshToken = "canary-refresh" },
			"it responded with HTTP 400 Bad Request (invalid_grant): the refresh token has expired"},
		"nobody there": {func(e *endpoint, _ *settings.RelayOAuth2) { e.Close() }, "connecting failed"},
		"redirect": {func(e *endpoint, _ *settings.RelayOAuth2) {
			e.answer = func(w http.ResponseWriter, q *http.Request) {
				http.Redirect(w, q, "https://other.example/", http.StatusFound)
			}
		}, "it responded with HTTP 302 Found: redirects are not followed"},
		"no token": {func(e *endpoint, _ *settings.RelayOAuth2) {
			e.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }
		}, "its response contains no token"},
		"no bearer": {func(e *endpoint, _ *settings.RelayOAuth2) {
			e.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"access_token":"canary-token","token_type":"mac"}`)
			}
		}, "of a type other than Bearer"},
		"line break": {func(e *endpoint, _ *settings.RelayOAuth2) {
			e.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"access_token":"canary\r\nRSET","token_type":"bearer"}`)
			}
		}, "characters that are not allowed in a token"},
		"endless": {func(e *endpoint, _ *settings.RelayOAuth2) {
			e.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<20)) }
		}, "its response is longer than 64 KiB"},
		"another's certificate": {func(e *endpoint, o *settings.RelayOAuth2) {
			o.TokenURL = strings.Replace(e.URL, "127.0.0.1", "localhost", 1)
		}, "its certificate is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, e, conf := relayByToken(t)
			conf.change(func(p *settings.SMTP) { e.set(func() { c.change(e, p.OAuth2) }) })
			v, o := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
			want(t, v, delivery.Retry, reasons.Auth)
			if !strings.Contains(v.Detail, c.says) {
				t.Errorf("detail %q, want %q", v.Detail, c.says)
			}
			if strings.Contains(v.Detail+string(o.Excerpt), "canary") || strings.Contains(v.Detail, "s3cret") {
				t.Errorf("a secret stands in %q %q", v.Detail, o.Excerpt)
			}
			if srv.Connections() != 0 {
				t.Error("the relay was connected to without a token")
			}
		})
	}
}

// byToken is a world whose relay wants the tokens of an endpoint, got by the refresh token refresh-0. What is handed back goes to kept.
func byToken(t *testing.T, w fixture, e *endpoint, conf *fixedSettings, kept chan *outboundv1.KeepRelayTokenRequest) fixture {
	t.Helper()
	sealer, err := secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	sealed := map[string][]byte{}
	for path, plain := range map[string]string{credential.SecretRelayClient: clientSecret, credential.SecretRelayRefresh: "refresh-0"} {
		if sealed[path], err = sealer.Seal([]byte(plain), path); err != nil {
			t.Fatal(err)
		}
	}
	w.sealer, w.adapt = sealer, func(c *configService) {
		c.kept = kept
		p := c.settings.GetSmtp()
		p.Encryption, p.Auth, p.Username = outboundv1.SmtpSettings_Encryption_STARTTLS, outboundv1.SmtpSettings_Auth_XOAUTH2, "user"
		p.CaCertificatePem = conf.Settings().SMTP.CAPEM
		p.Oauth2 = &outboundv1.RelayOAuth2{TokenUrl: e.URL, ClientId: clientID, Scopes: []string{"smtp", "offline"}}
		c.settings.SealedSmtpSecrets = sealed
	}
	return w
}

// The status tells the whole sentence, with the endpoint's host.
func TestTheStatusSaysWhyThereIsNoToken(t *testing.T) {
	srv, e, conf := relayByToken(t)
	e.set(func() {
		e.answer = func(_ http.ResponseWriter, q *http.Request) {
			_ = q.ParseForm() // A server notices that whoever asks has gone only once the body is read.
			<-q.Context().Done()
		}
	})
	w := eager()
	w.options.Timeout = 200 * time.Millisecond
	conn := open(t, srv, byToken(t, w, e, conf, nil))
	stands(t, conn, "OAuth 2.0: no token from "+strings.TrimPrefix(e.URL, "https://")+": no response in time")
	if srv.Connections() != 0 {
		t.Error("the relay was connected to without a token")
	}
}

// TestARotatedRefreshTokenIsUsedAndHandedBack runs the whole service: the endpoint takes each refresh token once.
func TestARotatedRefreshTokenIsUsedAndHandedBack(t *testing.T) {
	srv, e, conf := relayByToken(t)
	e.set(func() { e.rotate, e.refresh, e.life = true, "refresh-0", 0 })
	kept := make(chan *outboundv1.KeepRelayTokenRequest, 10)
	seen := make(watcher, 100)
	conn := open(t, srv, byToken(t, fixture{seen: seen, options: options()}, e, conf, kept))
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	for i := range 3 {
		ev := event.Sample(event.Catalogue()[1], "appliance-1", fmt.Sprintf("e-%d", i), time.Now(), nil)
		if _, err := publisher.Accept(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		want(t, seen.next(t).Verdict, delivery.Delivered, reasons.OK)
		// The next mail needs another token, and so the refresh token that came with this one.
		e.set(func() { e.revoked[fmt.Sprintf("token-%d", e.issued)] = true })
		srv.Cut()
	}
	counts(t, srv, map[string]int{alice: 3, bob: 3})
	for i := range e.tokens() {
		q := <-kept
		old := sha256.Sum256(fmt.Appendf(nil, "refresh-%d", i))
		if string(q.GetReplacedSha256()) != string(old[:]) || q.GetRefreshToken() != fmt.Sprintf("refresh-%d", i+1) ||
			q.GetTokenUrl() != e.URL || q.GetClientId() != clientID {
			t.Errorf("handed back %d: %v", i, q)
		}
	}
	if e.tokens() < 3 {
		t.Errorf("%d tokens were got, want 3 at least", e.tokens())
	}
}
