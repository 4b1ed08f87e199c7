package httpsender_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/httpsender"
)

const (
	clientID     = "outbound:1"
	clientSecret = "canary s3cret/+"
)

// tokenServer is a real one for client credentials; its tokens are numbered from 1.
type tokenServer struct {
	*receiver
	issued atomic.Int64
}

// grant answers by RFC 6749, 4.4; life is expires_in, none if 0. Credentials are taken in HTTP Basic, and with inBody in the body alone.
func newTokenServer(t testing.TB, config *tls.Config, life int, inBody bool) *tokenServer {
	s := &tokenServer{}
	s.receiver = newReceiver(t, config, func(w http.ResponseWriter, q *http.Request) {
		id, secret, basic := q.BasicAuth()
		if inBody {
			id, secret = q.PostFormValue("client_id"), q.PostFormValue("client_secret")
			basic = !basic
		} else if basic { // RFC 6749, 2.3.1: form-encoded before Basic
			id, secret = strings.ReplaceAll(id, "%3A", ":"), strings.NewReplacer("+", " ", "%2F", "/", "%2B", "+").Replace(secret)
		}
		w.Header().Set("Content-Type", "application/json")
		if !basic || id != clientID || secret != clientSecret || q.PostFormValue("grant_type") != "client_credentials" ||
			q.PostFormValue("scope") != "events write" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"no such secret: %s"}`, secret)
			return
		}
		expires := ""
		if life > 0 {
			expires = fmt.Sprintf(`,"expires_in":%d`, life)
		}
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer"%s}`, s.issued.Add(1), expires)
	})
	return s
}

// resource is a receiver that takes the token that takes says.
func resource(t testing.TB, config *tls.Config, takes func(token string) bool) *receiver {
	return newReceiver(t, config, func(w http.ResponseWriter, q *http.Request) {
		if !takes(strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// untilGone waits until whoever asks goes. A server notices only once the body is read.
func untilGone(q *http.Request) {
	_, _ = io.Copy(io.Discard, q.Body)
	<-q.Context().Done()
}

func every(token string) bool { return strings.HasPrefix(token, "token-") }

func oauth(tokenURL string) func(*recipient.Recipient) {
	return func(r *recipient.Recipient) {
		r.HTTP.Auth = recipient.Auth{OAuth2: &recipient.OAuth2{
			TokenURL: tokenURL, ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"events", "write"},
		}}
	}
}

func TestTokenIsKeptUntilTheRecipientChanges(t *testing.T) {
	for name, inBody := range map[string]bool{"credentials in HTTP Basic": false, "credentials in the body": true} {
		t.Run(name, func(t *testing.T) {
			server := newTokenServer(t, nil, 3600, inBody)
			r, s := resource(t, nil, every), newSender(t)
			for i := range 5 {
				if _, v := attempt(t, s, deliveryTo(r.URL, oauth(server.URL))); v.Kind != delivery.Delivered {
					t.Fatalf("attempt %d: %+v", i+1, v)
				}
			}
			if n := server.issued.Load(); n != 1 || r.requests.Load() != 5 {
				t.Errorf("%d tokens for %d requests, want 1 for 5", n, r.requests.Load())
			}
			next := deliveryTo(r.URL, oauth(server.URL), func(r *recipient.Recipient) { r.Revision++ })
			if _, v := attempt(t, s, next); v.Kind != delivery.Delivered || server.issued.Load() != 2 {
				t.Errorf("after a change: %+v with %d tokens, want 2", v, server.issued.Load())
			}
		})
	}
}

// Of a token that lives a second, three quarters are used; what is waited for is the clock of the token's own life.
func TestTokenIsReplacedBeforeItEnds(t *testing.T) {
	server := newTokenServer(t, nil, 1, false)
	var mu sync.Mutex
	got := map[string]bool{}
	r := resource(t, nil, func(token string) bool {
		mu.Lock()
		defer mu.Unlock()
		got[token] = true
		return true
	})
	s := newSender(t)
	waittest.Until(t, "a third token", func() bool {
		if _, v := attempt(t, s, deliveryTo(r.URL, oauth(server.URL))); v.Kind != delivery.Delivered {
			t.Fatal(v)
		}
		return server.issued.Load() >= 3
	})
	mu.Lock()
	defer mu.Unlock()
	if !got["token-1"] || !got["token-2"] {
		t.Errorf("sent with %v", got)
	}
}

func TestTokenThatIsRefusedIsReplacedOnce(t *testing.T) {
	server := newTokenServer(t, nil, 3600, false)
	r, s := resource(t, nil, func(token string) bool { return token == "token-2" }), newSender(t)
	for range 2 {
		if _, v := attempt(t, s, deliveryTo(r.URL, oauth(server.URL))); v.Kind != delivery.Delivered {
			t.Fatalf("got %+v", v)
		}
	}
	if server.issued.Load() != 2 || r.requests.Load() != 3 {
		t.Errorf("%d tokens and %d requests, want 2 and 3", server.issued.Load(), r.requests.Load())
	}
	none := resource(t, nil, func(string) bool { return false })
	o, v := attempt(t, s, deliveryTo(none.URL, oauth(server.URL), func(r *recipient.Recipient) { r.ID = "other" }))
	want := delivery.Verdict{Kind: delivery.Retry, Reason: reasons.HTTPStatus,
		Detail: "HTTP 401 Unauthorized; with a new OAuth 2.0 token as well"}
	if v != want || o.Status != http.StatusUnauthorized || none.requests.Load() != 2 || server.issued.Load() != 4 {
		t.Errorf("refused for good: %+v after %d requests with %d tokens in all", v, none.requests.Load(), server.issued.Load())
	}
}

func TestDeliveriesAtOnceShareOneTokenRequest(t *testing.T) {
	server := newTokenServer(t, nil, 3600, false)
	asked, release := make(chan struct{}, 64), make(chan struct{})
	slow := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
		asked <- struct{}{}
		<-release
		server.Config.Handler.ServeHTTP(w, q)
	})
	r, s := resource(t, nil, every), newSender(t)
	var wg sync.WaitGroup
	var delivered atomic.Int64
	for range 16 {
		wg.Go(func() {
			d := deliveryTo(r.URL, oauth(slow.URL), func(r *recipient.Recipient) { r.MaxInFlight = 16 })
			if v := s.Judge(d, s.Send(context.Background(), d)); v.Kind == delivery.Delivered {
				delivered.Add(1)
			}
		})
	}
	<-asked
	if n := r.requests.Load(); n != 0 {
		t.Errorf("%d requests went out without a token", n)
	}
	close(release)
	wg.Wait()
	if server.issued.Load() != 1 || delivered.Load() != 16 {
		t.Errorf("%d tokens for %d deliveries, want 1 for 16", server.issued.Load(), delivered.Load())
	}
}

func TestNothingIsSentWithoutAToken(t *testing.T) {
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	hang := func(_ http.ResponseWriter, q *http.Request) { untilGone(q) }
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 4096))
		}
	}
	for name, c := range map[string]struct {
		serve  http.HandlerFunc
		detail string
	}{
		"credentials refused": {say(401, `{"error":"invalid_client","error_description":"canary"}`),
			"it responded with HTTP 401 Unauthorized (invalid_client): check clientId and clientSecret"},
		"scope refused":              {say(400, `{"error":"invalid_scope"}`), "it responded with HTTP 400 Bad Request (invalid_scope)"},
		"error with status 200":      {say(200, `{"error":"access_denied"}`), "it responded with HTTP 200 OK (access_denied)"},
		"out of order":               {say(500, `canary`), "it responded with HTTP 500 Internal Server Error"},
		"an error code with secrets": {say(400, `{"error":"Canary canary"}`), "it responded with HTTP 400 Bad Request"},
		"a redirect": {func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/canary", http.StatusFound) },
			"it responded with HTTP 302 Found: redirects are not followed"},
		"no JSON":                 {say(200, `<html>canary`), "its response contains no token"},
		"no token":                {say(200, `{"token_type":"bearer"}`), "its response contains no token"},
		"token of another type":   {say(200, `{"access_token":"canary","token_type":"mac"}`), "its token is of a type other than Bearer"},
		"token with a line break": {say(200, `{"access_token":"canary\r\nX-A: b","token_type":"bearer"}`), "its token has characters"},
		"endless":                 {endless, "its response is longer than 64 KiB"},
		"hangs":                   {hang, "no response in time"},
		"cuts": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"it closed the connection without a response"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReceiver(t, nil, c.serve)
			refusedToken(t, server.URL, "OAuth 2.0: no token from "+strings.TrimPrefix(server.URL, "http://")+": "+c.detail)
		})
	}
	t.Run("down", func(t *testing.T) { refusedToken(t, "http://"+porttest.Address(t), "connection refused") })
	t.Run("forbidden address", func(t *testing.T) { refusedToken(t, "http://10.1.2.3/", "connecting to 10.1.2.3:80 is forbidden") })
	t.Run("no URL", func(t *testing.T) { refusedToken(t, "ftp://canary/", "http.auth.oauth2.tokenUrl has the scheme") })
}

// refusedToken makes an attempt that finds no token: it goes to a receiver that must see nothing.
func refusedToken(t *testing.T, tokenURL, detail string) {
	t.Helper()
	r := resource(t, nil, every)
	o, v := attempt(t, newSender(t), deliveryTo(r.URL, oauth(tokenURL), timeout(time.Second)))
	if o.Fault != delivery.FaultAuth || v.Kind != delivery.Retry || v.Reason != reasons.Auth || !strings.Contains(v.Detail, detail) {
		t.Errorf("got %+v, %+v, want %q", o, v, detail)
	}
	if n := r.connections.Load(); n != 0 {
		t.Errorf("%d connections to the receiver", n)
	}
}

func TestTokenServerMayHaveTheRecipientsRoot(t *testing.T) {
	ours, theirs := newAuthority(t, "our root"), newAuthority(t, "their root")
	server := newTokenServer(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, 0, false)
	r := resource(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, every)
	if _, v := attempt(t, newSender(t), deliveryTo(r.URL, oauth(server.URL),
		func(r *recipient.Recipient) { r.HTTP.CAPEM = ours.pem })); v.Kind != delivery.Delivered {
		t.Errorf("got %+v", v)
	}
	other := newTokenServer(t, &tls.Config{Certificates: []tls.Certificate{theirs.issue(t, nil)}}, 0, false)
	_, v := attempt(t, newSender(t), deliveryTo(r.URL, oauth(other.URL), func(r *recipient.Recipient) { r.HTTP.CAPEM = ours.pem }))
	if v.Reason != reasons.Auth || !strings.Contains(v.Detail, "unknown authority") || other.requests.Load() != 0 {
		t.Errorf("of an authority nobody trusts: %+v", v)
	}
}

func TestURLPolicyBindsTheTokenServerToo(t *testing.T) {
	ours := newAuthority(t, "our root")
	server := newTokenServer(t, nil, 0, false)
	r := resource(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, every)
	o := httpsender.DefaultOptions()
	o.AllowEgress = []string{"127.0.0.0/8"}
	_, v := attempt(t, httpsender.NewSender(t, o),
		deliveryTo(r.URL, oauth(server.URL), func(r *recipient.Recipient) { r.HTTP.CAPEM = ours.pem }))
	if v.Reason != reasons.Auth || !strings.Contains(v.Detail, "--url-policy") || server.connections.Load() != 0 {
		t.Errorf("got %+v", v)
	}
}

func TestShutdownWhileATokenIsAskedForIsNoAttempt(t *testing.T) {
	asked := make(chan struct{}, 1)
	server := newReceiver(t, nil, func(_ http.ResponseWriter, q *http.Request) {
		asked <- struct{}{}
		untilGone(q)
	})
	ctx, stop := context.WithCancel(t.Context())
	go func() { <-asked; stop() }()
	s, d := newSender(t), deliveryTo("http://127.0.0.1:9/", oauth(server.URL))
	if v := s.Judge(d, s.Send(ctx, d)); v.Kind != delivery.Postpone || v.Reason != reasons.Shutdown {
		t.Errorf("got %+v", v)
	}
	if err := ctx.Err(); err == nil {
		t.Error("the sender returned before it was stopped")
	}
}
