package token_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/token"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

const (
	clientID     = "outbound:1"
	clientSecret = "canary s3cret/+"
)

// endpoint is a real token endpoint. It counts requests, and keeps their forms with the way the credentials came.
type endpoint struct {
	*httptest.Server
	requests atomic.Int64

	mu    sync.Mutex
	forms []url.Values
}

// serve starts an endpoint that answers the n-th request, from 1.
func serve(t *testing.T, answer func(n int64, w http.ResponseWriter, q *http.Request)) *endpoint {
	t.Helper()
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		n := e.requests.Add(1)
		_ = q.ParseForm()
		form := maps.Clone(q.PostForm)
		if id, secret, ok := q.BasicAuth(); ok {
			form["basic"] = []string{id, secret}
		}
		e.mu.Lock()
		e.forms = append(e.forms, form)
		e.mu.Unlock()
		answer(n, w, q)
	}))
	t.Cleanup(e.Close)
	return e
}

// sent is a field of all requests so far.
func (e *endpoint) sent(field string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, f := range e.forms {
		out = append(out, strings.Join(f[field], " "))
	}
	return out
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// grant answers with a token that is numbered; more is further JSON.
func grant(w http.ResponseWriter, n int64, more string) {
	say(w, http.StatusOK, fmt.Sprintf(`{"access_token":"token-%d","token_type":"bearer"%s}`, n, more))
}

// open makes a source over the guarded transport.
func open(t *testing.T, at string, change ...func(*token.Options)) *token.Source {
	t.Helper()
	guard, err := egress.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := token.Options{
		URL: at, ClientID: clientID, ClientSecret: clientSecret, Scopes: []string{"events", "write"}, Margin: 30 * time.Second,
		Transport: egress.NewTransport(egress.TransportOptions{Guard: guard, Timeout: 10 * time.Second, MaxConns: 1}),
	}
	for _, f := range change {
		f(&o)
	}
	s := token.New(o)
	t.Cleanup(s.CloseIdle)
	return s
}

func got(t *testing.T, s *token.Source, want string) {
	t.Helper()
	if token, err := s.Get(t.Context()); err != nil || token != want {
		t.Fatalf("got %q, %v, want %s", token, err, want)
	}
}

// held holds requests back until it is released. Its connections are not kept: in a bubble of synctest nobody may wait for one.
type held struct {
	release chan struct{}
	next    http.Transport
}

func (h *held) RoundTrip(q *http.Request) (*http.Response, error) {
	<-h.release
	h.next.DisableKeepAlives = true
	return h.next.RoundTrip(q)
}

// All callers stand in line before the one request leaves: synctest waits until each of them does.
func TestCallersAtOnceShareOneRequest(t *testing.T) {
	const callers = 64
	for name, c := range map[string]struct {
		status int
		want   string
	}{"that is granted": {http.StatusOK, "token-1"}, "that is refused": {http.StatusForbidden, ""}} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) {
				if c.status != http.StatusOK {
					say(w, c.status, `{}`)
					return
				}
				grant(w, n, `,"expires_in":3600`)
			})
			synctest.Test(t, func(t *testing.T) {
				line := &held{release: make(chan struct{})}
				s := open(t, e.URL, func(o *token.Options) { o.Transport = line })
				var wg sync.WaitGroup
				var right atomic.Int64
				for range callers {
					wg.Go(func() {
						token, err := s.Get(t.Context())
						if token == c.want && (err == nil) == (c.want != "") {
							right.Add(1)
						}
					})
				}
				synctest.Wait()
				close(line.release)
				wg.Wait()
				if right.Load() != callers || e.requests.Load() != 1 {
					t.Errorf("%d of %d callers have what came of %d requests, want all of 1", right.Load(), callers, e.requests.Load())
				}
			})
		})
	}
}

// ending is a context whose deadline comes when it is told to, not by the clock.
type ending struct {
	context.Context
	over chan struct{}
}

func (e ending) Done() <-chan struct{} { return e.over }

func (e ending) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func outOfTime(ctx context.Context) (context.Context, context.CancelFunc) {
	over := make(chan struct{})
	return ending{ctx, over}, sync.OnceFunc(func() { close(over) })
}

// The first caller's own end is not the others'.
func TestTheNextAsksWhenTheFirstIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		leave func(context.Context) (context.Context, context.CancelFunc)
		want  error
	}{
		"called off": {context.WithCancel, context.Canceled}, "out of time": {outOfTime, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{}, 1)
			e := serve(t, func(n int64, w http.ResponseWriter, q *http.Request) {
				if n == 1 {
					asked <- struct{}{}
					<-q.Context().Done()
					return
				}
				grant(w, n, "")
			})
			s := open(t, e.URL)
			ctx, leave := c.leave(t.Context())
			defer leave()
			var wg sync.WaitGroup
			var first error
			wg.Go(func() { _, first = s.Get(ctx) })
			<-asked
			began, second := make(chan struct{}), ""
			var err error
			wg.Go(func() {
				close(began)
				second, err = s.Get(t.Context())
			})
			<-began
			leave()
			wg.Wait()
			if !errors.Is(first, c.want) || err != nil || second != "token-2" || e.requests.Load() != 2 {
				t.Errorf("the first has %v, the second %q, %v after %d requests", first, second, err, e.requests.Load())
			}
		})
	}
}

// The endpoint is outside the bubble, where the time of the bubble does not count; connections are not kept, since the bubble's time
// stands still while one is read.
func TestATokenIsReplacedShortlyBeforeItEnds(t *testing.T) {
	for name, c := range map[string]struct {
		expires string
		kept    time.Duration
	}{
		"an hour, but for the margin":     {`,"expires_in":3600`, 3570 * time.Second},
		"as text":                         {`,"expires_in":"3600"`, 3570 * time.Second},
		"shortly, but for a quarter":      {`,"expires_in":40`, 30 * time.Second},
		"longer than a number can tell":   {`,"expires_in":99999999999`, 60 * 365 * 24 * time.Hour},
		"unsaid, so until it is refused":  {``, 365 * 24 * time.Hour},
		"null, so until it is refused":    {`,"expires_in":null`, 365 * 24 * time.Hour},
		"no time, so until it is refused": {`,"expires_in":0`, 365 * 24 * time.Hour},
		"over already, so for one use":    {`,"expires_in":-5`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) { grant(w, n, c.expires) })
			synctest.Test(t, func(t *testing.T) {
				s := open(t, e.URL, func(o *token.Options) { o.Transport = &http.Transport{DisableKeepAlives: true} })
				got(t, s, "token-1")
				if c.kept > 0 {
					time.Sleep(c.kept - time.Second)
					got(t, s, "token-1")
				}
				if e.requests.Load() != 1 {
					t.Fatalf("%d requests within the token's life", e.requests.Load())
				}
				if c.kept >= 365*24*time.Hour {
					s.Forget("token-1")
				}
				time.Sleep(time.Second)
				got(t, s, "token-2")
			})
		})
	}
}

func TestARefusedTokenIsForgotten(t *testing.T) {
	e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) { grant(w, n, `,"expires_in":3600`) })
	s := open(t, e.URL)
	got(t, s, "token-1")
	s.Forget("token-1")
	got(t, s, "token-2")
	s.Forget("token-1") // Another caller was refused with the old one.
	got(t, s, "token-2")
	if e.requests.Load() != 2 {
		t.Errorf("%d requests, want 2", e.requests.Load())
	}
}

func TestAFailureIsNotKept(t *testing.T) {
	e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) {
		if n == 1 {
			say(w, http.StatusServiceUnavailable, "")
			return
		}
		grant(w, n, "")
	})
	s := open(t, e.URL)
	if token, err := s.Get(t.Context()); err == nil {
		t.Fatalf("got %q", token)
	}
	got(t, s, "token-2")
}

func TestCredentialsGoTheWayThatTheEndpointTakes(t *testing.T) {
	for name, c := range map[string]struct {
		takes   func(*http.Request) bool
		secret  string
		basic   []string
		secrets []string
	}{
		"in HTTP Basic": {func(q *http.Request) bool { _, _, ok := q.BasicAuth(); return ok }, clientSecret,
			[]string{"outbound%3A1 canary+s3cret%2F%2B", "outbound%3A1 canary+s3cret%2F%2B"}, []string{"", ""}},
		"in the body, from then on": {func(q *http.Request) bool { return q.PostFormValue("client_secret") == clientSecret }, clientSecret,
			[]string{"outbound%3A1 canary+s3cret%2F%2B", "", ""}, []string{"", clientSecret, clientSecret}},
		"without a secret": {func(q *http.Request) bool { return q.PostFormValue("client_id") == clientID }, "",
			[]string{"", ""}, []string{"", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(n int64, w http.ResponseWriter, q *http.Request) {
				if !c.takes(q) {
					say(w, http.StatusUnauthorized, `{"error":"invalid_client"}`)
					return
				}
				grant(w, n, "")
			})
			s := open(t, e.URL, func(o *token.Options) { o.ClientSecret = c.secret })
			for range 2 {
				token, err := s.Get(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				s.Forget(token)
			}
			if !slices.Equal(e.sent("basic"), c.basic) || !slices.Equal(e.sent("client_secret"), c.secrets) {
				t.Errorf("sent %q in Basic and %q in the body", e.sent("basic"), e.sent("client_secret"))
			}
			for _, scope := range e.sent("scope") {
				if scope != "events write" {
					t.Errorf("scope %q", scope)
				}
			}
		})
	}
}

func TestARotatedRefreshTokenIsToldBeforeTheNextRequest(t *testing.T) {
	e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) {
		more := fmt.Sprintf(`,"refresh_token":"refresh-%d"`, n)
		if n == 3 {
			more = "" // The last one stays in use.
		}
		grant(w, n, more)
	})
	refresh, told := "refresh-0", []string(nil)
	s := open(t, e.URL, func(o *token.Options) {
		o.Refresh = func() string { return refresh }
		o.Rotated = func(_ context.Context, sent, now string) {
			told, refresh = append(told, sent+" "+now), now
		}
	})
	for i := range 4 {
		got(t, s, fmt.Sprintf("token-%d", i+1))
		s.Forget(fmt.Sprintf("token-%d", i+1))
	}
	if want := []string{"refresh-0", "refresh-1", "refresh-2", "refresh-2"}; !slices.Equal(e.sent("refresh_token"), want) {
		t.Errorf("sent %q, want %q", e.sent("refresh_token"), want)
	}
	if want := []string{"refresh-0 refresh-1", "refresh-1 refresh-2", "refresh-2 refresh-4"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	for _, grant := range e.sent("grant_type") {
		if grant != "refresh_token" {
			t.Errorf("grant type %q", grant)
		}
	}
}
