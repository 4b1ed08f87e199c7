package token_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/token"
)

const refreshToken = "canary-refresh-0123456789"

// refused wants an error with these words that shows no secret, nor does anything that it wraps.
func refused(ctx context.Context, t *testing.T, s *token.Source, want string) error {
	t.Helper()
	got, err := s.Get(ctx)
	if got != "" || err == nil || err.Error() != "OAuth 2.0: no token from "+want {
		t.Fatalf("got %q, %v\nwant %s", got, err, want)
	}
	var own *token.Error
	if !errors.As(err, &own) {
		t.Errorf("%T is no *token.Error", err)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, "canary") || strings.Contains(text, "s3cret") || len(text) > 2000 {
			t.Errorf("%T says %q", e, text)
		}
	}
	return err
}

func TestWhyAnAnswerHoldsNoToken(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(clientID) + ":" + url.QueryEscape(clientSecret)))
	said := func(description string) string {
		out, err := json.Marshal(map[string]string{"error": "invalid_request", "error_description": description})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	page := func(uri string) string { return fmt.Sprintf(`{"error":"invalid_request","error_uri":%q}`, uri) }
	const invalid = "it responded with HTTP 400 Bad Request (invalid_request)"
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"client": {401, `{"error":"invalid_client","error_description":"No such client."}`,
			"it responded with HTTP 401 Unauthorized (invalid_client): check clientId and clientSecret; it says: No such client."},
		"scope": {400, `{"error":"invalid_scope"}`, "it responded with HTTP 400 Bad Request (invalid_scope): check scopes"},
		"grant": {400, `{"error":"unauthorized_client"}`,
			"it responded with HTTP 400 Bad Request (unauthorized_client): allow this grant type for the client"},
		"with status 200":      {200, `{"error":"access_denied","access_token":"canary"}`, "it responded with HTTP 200 OK (access_denied)"},
		"code with secrets":    {400, `{"error":"Canary canary"}`, "it responded with HTTP 400 Bad Request"},
		"code without end":     {400, `{"error":"` + strings.Repeat("x", 65) + `"}`, "it responded with HTTP 400 Bad Request"},
		"page of HTML":         {503, "<html>canary " + strings.Repeat("x", 9000), "it responded with HTTP 503 Service Unavailable"},
		"status without name":  {599, ``, "it responded with HTTP 599"},
		"description too long": {400, said(strings.Repeat("é", 300)), invalid + "; it says: " + strings.Repeat("é", 200) + "…"},
		"lines in it":          {400, said("one\r\n\x1b[31m two"), invalid + "; it says: one [31m two"},
		"person in it":         {400, said("the account alice@example.com is locked"), invalid + "; it says: the account … is locked"},
		"secret in it":         {400, said("not " + clientSecret), invalid},
		"half a secret in it":  {400, said("not " + clientSecret[:8] + "…"), invalid},
		"secret in capitals":   {400, said(strings.ToUpper(clientSecret)), invalid},
		"secret of a form":     {400, said("client_secret=" + url.QueryEscape(clientSecret)), invalid},
		"secret of Basic":      {400, said("got Basic " + basic), invalid},
		"refresh token in it":  {400, said("got " + refreshToken), invalid},
		"key of the URL in it": {400, said("/token?key=canary"), invalid},
		"refresh token refused": {400, `{"error":"invalid_grant"}`,
			"it responded with HTTP 400 Bad Request (invalid_grant): the refresh token has expired or was revoked, set a new one"},
		"garbage":           {200, `{"access_token":"canary`, "its response contains no token"},
		"nothing":           {200, ``, "its response contains no token"},
		"no token":          {200, `{"token_type":"bearer","expires_in":3600}`, "its response contains no token"},
		"another type":      {200, `{"access_token":"canary","token_type":"mac"}`, "its token is of a type other than Bearer: mac"},
		"type with a proof": {200, `{"access_token":"canary","token_type":"DPoP"}`, "its token is of a type other than Bearer: DPoP"},
		"type of no token":  {200, `{"access_token":"canary","token_type":"N_A"}`, "its token is of a type other than Bearer: N_A"},
		"type with a secret": {200, `{"access_token":"canary","token_type":"` + refreshToken + `"}`,
			"its token is of a type other than Bearer"},
		"type that is a sentence": {200, `{"access_token":"canary","token_type":"mac or canary"}`, "its token is of a type other than Bearer"},
		"page with status 200": {200, "\ufeff\r\n<!DOCTYPE html><title>canary",
			"its response contains no token, it is a page of HTML or XML: check the token URL"},
		"code of another server": {400, `{"error":"AADSTS7000215","error_description":"Not valid."}`,
			"it responded with HTTP 400 Bad Request (AADSTS7000215); it says: Not valid."},
		"error as an object": {403, `{"error":{"code":403,"message":"Not allowed.","status":"PERMISSION_DENIED"}}`,
			"it responded with HTTP 403 Forbidden (PERMISSION_DENIED); it says: Not allowed."},
		"error that is no text": {400, `{"error":true,"error_description":["canary"]}`, "it responded with HTTP 400 Bad Request (error)"},
		"target": {400, `{"error":"invalid_target"}`,
			"it responded with HTTP 400 Bad Request (invalid_target): check the parameters resource and audience"},
		"page about it": {400, `{"error":"access_denied","error_uri":"https://login.example.com/error?code=7"}`,
			"it responded with HTTP 400 Bad Request (access_denied); see https://login.example.com/error?code=7"},
		"page with a secret":     {400, page("https://login.example.com/?s=" + url.QueryEscape(clientSecret)), invalid},
		"page with half a token": {400, page("https://login.example.com/?s=%63anary%2Drefresh"), invalid},
		"page with a person":     {400, page("https://login.example.com/?s=alice@example.com"), invalid},
		"page of a script":       {400, page("javascript:alert(1)"), invalid},
		"page with a password":   {400, page("https://a:canary@login.example.com/"), invalid},
		"line break in it": {200, `{"access_token":"canary\r\nX-A: b","token_type":"bearer"}`,
			"its token has characters that are not allowed in a token"},
		"blank in it": {200, `{"access_token":"canary b"}`, "its token has characters that are not allowed in a token"},
		"too long":    {200, `{"access_token":"canary` + strings.Repeat("x", 64<<10) + `"}`, "its response is longer than 64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) { say(w, c.status, c.body) })
			s := open(t, e.URL+"/token?key=canary", func(o *token.Options) { o.Refresh = func() string { return refreshToken } })
			err := refused(t.Context(), t, s, e.Listener.Addr().String()+": "+c.want)
			if cause := errors.Unwrap(err); cause != nil {
				t.Errorf("the cause %T goes out", cause)
			}
		})
	}
}

// Of two refusals, one for each way of the credentials, the one that got further is told.
func TestTheRefusalThatGotFurtherIsTold(t *testing.T) {
	const client, scope = `{"error":"invalid_client"}`, `{"error":"invalid_scope"}`
	for name, answers := range map[string][2]string{"Basic is taken": {scope, client}, "the body is taken": {client, scope}} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) { say(w, http.StatusBadRequest, answers[n-1]) })
			refused(t.Context(), t, open(t, e.URL),
				e.Listener.Addr().String()+": it responded with HTTP 400 Bad Request (invalid_scope): check scopes")
			if e.requests.Load() != 2 {
				t.Errorf("%d requests, want 2", e.requests.Load())
			}
		})
	}
}

// An endpoint may count a second use of a refresh token as theft.
func TestARefusedRefreshTokenIsNotSentTwice(t *testing.T) {
	e := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusBadRequest, `{"error":"invalid_grant"}`)
	})
	s := open(t, e.URL, func(o *token.Options) { o.Refresh = func() string { return refreshToken } })
	if _, err := s.Get(t.Context()); err == nil || e.requests.Load() != 1 {
		t.Errorf("%v after %d requests, want 1", err, e.requests.Load())
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	other := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) { grant(w, n, "") })
	for _, status := range []int{http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		e := serve(t, func(_ int64, w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, other.URL+"/canary", status)
		})
		refused(t.Context(), t, open(t, e.URL),
			fmt.Sprintf("%s: it responded with HTTP %d %s: redirects are not followed", e.Listener.Addr(), status, http.StatusText(status)))
		if e.requests.Load() != 1 {
			t.Errorf("%d: %d requests, want 1", status, e.requests.Load())
		}
	}
	if other.requests.Load() != 0 {
		t.Errorf("%d requests went where a redirect led", other.requests.Load())
	}
}

func TestAnAnswerWithoutEndIsLeft(t *testing.T) {
	e := serve(t, func(_ int64, w http.ResponseWriter, q *http.Request) {
		for q.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 4096))
		}
	})
	refused(t.Context(), t, open(t, e.URL), e.Listener.Addr().String()+": its response is longer than 64 KiB")
}

func TestASlowAnswerIsWaitedForAsLongAsTheContext(t *testing.T) {
	for name, part := range map[string]string{"that does not begin": "", "that does not end": `{"access_token":"canary`} {
		t.Run(name, func(t *testing.T) {
			ctx, over := outOfTime(t.Context())
			e := serve(t, func(_ int64, w http.ResponseWriter, q *http.Request) {
				if part != "" {
					fmt.Fprint(w, part)
					_ = http.NewResponseController(w).Flush()
				}
				over()
				<-q.Context().Done()
			})
			if err := refused(ctx, t, open(t, e.URL), e.Listener.Addr().String()+": no response in time"); !errors.Is(err,
				context.DeadlineExceeded) {
				t.Errorf("%v does not wrap the deadline", err)
			}
		})
	}
}

func TestWhyThereIsNoAnswer(t *testing.T) {
	cut := serve(t, func(int64, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	refused(t.Context(), t, open(t, cut.URL),
		cut.Listener.Addr().String()+": it closed the connection without a response, or its response is not HTTP: EOF")

	odd := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("220 " + clientSecret + " ESMTP\r\n"))
			_ = conn.Close()
		}
	})
	refused(t.Context(), t, open(t, odd.URL),
		odd.Listener.Addr().String()+": it closed the connection without a response, or its response is not HTTP")

	down := porttest.Address(t)
	plain := func(o *token.Options) { o.Transport = &http.Transport{} }
	refused(t.Context(), t, open(t, "http://"+down, plain), down+": connecting failed: connection refused")

	stranger := httptest.NewUnstartedServer(nil)
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	refused(t.Context(), t, open(t, stranger.URL, plain),
		stranger.Listener.Addr().String()+": its certificate is not trusted: x509: certificate signed by unknown authority")

	for _, unreadable := range []string{"https://user:canary@host:port/", "/canary", "https:canary"} {
		refused(t.Context(), t, open(t, unreadable), "the token endpoint: its URL is not valid: use one with a scheme and a host")
	}
}

func TestWhatTheGuardForbidsIsNotDialled(t *testing.T) {
	_, err := open(t, "http://10.1.2.3/token?key=canary").Get(t.Context())
	var dial *egress.DialError
	if !errors.As(err, &dial) || dial.Stage != egress.StageForbidden || err.Error() != "OAuth 2.0: no token from 10.1.2.3: "+dial.Error() {
		t.Errorf("got %v", err)
	}
}
