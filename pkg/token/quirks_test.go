package token_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/token"
)

// An answer that has a token gives it, in whatever form servers really send it.
func TestTokenIsReadInTheFormsThatServersSend(t *testing.T) {
	const plain = `{"access_token":"token-1","token_type":"bearer","expires_in":3600}`
	for name, c := range map[string]struct{ contentType, body string }{
		"JSON":                           {"application/json", plain},
		"JSON with a charset":            {"application/json; charset=ISO-8859-1", plain},
		"JSON as text":                   {"text/plain", plain},
		"JSON as text with a charset":    {"text/plain;charset=UTF-8", plain},
		"JSON as a script":               {"text/javascript", plain},
		"JSON as a page":                 {"text/html; charset=utf-8", plain},
		"JSON as a form":                 {"application/x-www-form-urlencoded", plain},
		"JSON as bytes":                  {"application/octet-stream", plain},
		"JSON with a type that is none":  {"json; charset", plain},
		"JSON without a type":            {"", plain},
		"JSON with a byte-order mark":    {"application/json", "\ufeff" + plain},
		"JSON with a mark and blanks":    {"text/plain", "\r\n\ufeff \n" + plain + "\n\n"},
		"JSON with fields that are none": {"application/json", `{"access_token":"token-1","refresh_token":null,"scope":["a","b"],"ext":{"x":[1]}}`},
		"an error that is none":          {"application/json", `{"access_token":"token-1","error":null,"error_description":null}`},
		"a form":                         {"application/x-www-form-urlencoded", "access_token=token-1&token_type=bearer&expires_in=3600.5"},
		"a form as text":                 {"text/plain", "access_token=token-1&token_type=bearer"},
		"a form as JSON":                 {"application/json", "access_token=token-1&expires_in=3600"},
		"a form as a page":               {"text/html", "access_token=token-1"},
	} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{c.contentType}
				fmt.Fprint(w, c.body)
			})
			got(t, open(t, e.URL), "token-1")
		})
	}
}

func TestTokenTypesThatMeanBearerAreTaken(t *testing.T) {
	for _, kind := range []string{`"bearer"`, `"Bearer"`, `"BEARER"`, `"bEaReR"`, `" Bearer "`, `"BearerToken"`, `"bearer_token"`, `"Bearer Token"`,
		`"JWT"`, `"jwt"`, `""`, `null`} {
		e := serve(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
			say(w, http.StatusOK, `{"access_token":"token-1","token_type":`+kind+`}`)
		})
		s := open(t, e.URL)
		if token, err := s.Get(t.Context()); err != nil || token != "token-1" {
			t.Errorf("%s: %q, %v", kind, token, err)
		}
	}
}

// The life of a token decides when it is replaced. What is unknown lasts until it is refused.
func TestExpiresInIsReadInTheFormsThatServersSend(t *testing.T) {
	const unknown = 365 * 24 * time.Hour
	for raw, kept := range map[string]time.Duration{
		`3600`: 3570 * time.Second, `3600.0`: 3570 * time.Second, `3599.6`: 3569 * time.Second, `3.6e3`: 3570 * time.Second,
		`"3600"`: 3570 * time.Second, `" 3600 "`: 3570 * time.Second, `"3600.5"`: 3570 * time.Second,
		`0.5`: 750 * time.Millisecond, `1e300`: 60 * unknown, `1e400`: 60 * unknown, `"99999999999999999999"`: 60 * unknown,
		`"soon"`: unknown, `""`: unknown, `true`: unknown, `{"s":1}`: unknown, `0`: unknown, `"0"`: unknown, `"NaN"`: unknown,
		`-5`: 0, `"-5"`: 0, `-0.5`: 0, `-1e300`: 0,
	} {
		t.Run(raw, func(t *testing.T) {
			e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) { grant(w, n, `,"expires_in":`+raw) })
			synctest.Test(t, func(t *testing.T) {
				s := open(t, e.URL, func(o *token.Options) { o.Transport = &http.Transport{DisableKeepAlives: true} })
				got(t, s, "token-1")
				if kept > 0 {
					time.Sleep(kept - 10*time.Millisecond)
					got(t, s, "token-1")
				}
				if e.requests.Load() != 1 {
					t.Fatalf("%d requests within the token's life", e.requests.Load())
				}
				if kept >= unknown {
					s.Forget("token-1")
				}
				time.Sleep(2 * time.Second)
				got(t, s, "token-2")
			})
		})
	}
}

// Parameters go along with both grants, whichever way the credentials go, and each of several values does.
func TestParametersGoIntoEveryRequest(t *testing.T) {
	want := map[string][]string{
		"audience": {"https://api.example.com/"}, "resource": {"https://a.example.com", "https://b.example.com"}, "x.y-z_1": {""},
	}
	for name, refresh := range map[string]string{"client_credentials": "", "refresh_token": refreshToken} {
		t.Run(name, func(t *testing.T) {
			e := serve(t, func(n int64, w http.ResponseWriter, q *http.Request) {
				if q.PostFormValue("client_secret") == "" {
					say(w, http.StatusUnauthorized, `{"error":"invalid_client"}`)
					return
				}
				grant(w, n, "")
			})
			s := open(t, e.URL, func(o *token.Options) {
				o.Parameters = url.Values(want)
				o.Refresh = func() string { return refresh }
			})
			got(t, s, "token-2")
			s.Forget("token-2")
			got(t, s, "token-3")
			e.mu.Lock()
			defer e.mu.Unlock()
			for i, form := range e.forms {
				for field, values := range want {
					if !reflect.DeepEqual(form[field], values) {
						t.Errorf("request %d has %s=%q, want %q", i+1, field, form[field], values)
					}
				}
				if got := form.Get("grant_type"); got != name || form.Get("refresh_token") != refresh || form.Get("scope") != "events write" {
					t.Errorf("request %d has %q", i+1, form)
				}
			}
			if len(e.forms) != 3 {
				t.Errorf("%d requests, want 3", len(e.forms))
			}
		})
	}
}

// Scopes that are not separated by blanks go as a parameter.
func TestScopeMayBeAParameter(t *testing.T) {
	e := serve(t, func(n int64, w http.ResponseWriter, _ *http.Request) { grant(w, n, "") })
	s := open(t, e.URL, func(o *token.Options) { o.Scopes, o.Parameters = nil, url.Values{"scope": {"events,write"}} })
	got(t, s, "token-1")
	if scopes := e.sent("scope"); len(scopes) != 1 || scopes[0] != "events,write" {
		t.Errorf("sent %q", scopes)
	}
}

func TestReservedParametersAreRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		scopes bool
		want   string
	}{
		"audience": {true, ""}, "resource": {true, ""}, "scope": {false, ""},
		"grant_type":    {false, "is reserved: Outbound sets grant_type itself, from the other fields"},
		"client_id":     {false, "is reserved: Outbound sets client_id itself, from the other fields"},
		"client_secret": {false, "is reserved: Outbound sets client_secret itself, from the other fields"},
		"refresh_token": {false, "is reserved: Outbound sets refresh_token itself, from the other fields"},
		"":              {false, "is empty: set the name of the parameter, e.g. audience"},
	} {
		said := ""
		if err := token.CheckParameter(name, c.scopes); err != nil {
			said = err.Error()
		}
		if said != c.want {
			t.Errorf("%q: %q, want %q", name, said, c.want)
		}
	}
	if err := token.CheckParameter("scope", true); err == nil {
		t.Error("scope is taken beside scopes")
	}
}

// Some servers refuse the credentials in HTTP Basic with a status other than 400 and 401.
func TestBasicThatIsRefusedWithStatus200IsFollowedByTheBody(t *testing.T) {
	e := serve(t, func(n int64, w http.ResponseWriter, q *http.Request) {
		if q.PostFormValue("client_secret") == "" {
			say(w, http.StatusOK, `{"error":"invalid_client"}`)
			return
		}
		grant(w, n, "")
	})
	got(t, open(t, e.URL), "token-2")
}

func TestJSONIsAskedFor(t *testing.T) {
	e := serve(t, func(n int64, w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Accept") != "application/json" {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		grant(w, n, "")
	})
	got(t, open(t, e.URL), "token-1")
}
