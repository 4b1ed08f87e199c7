package allinone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// options are those of an all-in-one on free ports that may send to this machine.
func options(t *testing.T) allinone.Options {
	t.Helper()
	o := allinone.DefaultOptions()
	o.Data, o.HTTP, o.GRPC, o.NATS = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	o.URLPolicy, o.AllowEgress, o.Telemetry.LogTo = recipient.AnyURL, []string{"127.0.0.0/8"}, io.Discard
	return o
}

// running is an all-in-one with the broker in the test's hands.
type running struct {
	t      *testing.T
	at     allinone.Endpoints
	data   string
	token  string
	first  <-chan string
	client *http.Client
	broker *embed.Server
	stop   context.CancelFunc
	ended  chan error
	over   bool
}

// start starts an all-in-one and waits until it is ready. It ends with the test.
func start(t *testing.T, o allinone.Options) *running {
	t.Helper()
	s, err := allinone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	// Connections that are kept would outlive the test.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r := &running{t: t, data: o.Data, first: s.FirstStart(), client: client, ended: make(chan error, 1)}
	s.OnBroker(func(b *embed.Server) { r.broker = b })
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		if !r.over {
			_ = r.wait()
		}
	})
	select {
	case r.at = <-s.Ready():
	case err := <-r.ended:
		r.over = true
		t.Fatalf("it ended instead of getting ready: %v", err)
	}
	r.token = strings.TrimSpace(r.file("admin.token"))
	return r
}

// wait ends the all-in-one and returns its error.
func (r *running) wait() error {
	r.t.Helper()
	r.stop()
	r.over = true
	return waittest.Receive(r.t, "its end", r.ended)
}

// end ends the all-in-one, which must have no error.
func (r *running) end() {
	r.t.Helper()
	if err := r.wait(); err != nil {
		r.t.Fatalf("it ended with: %v", err)
	}
}

// file is what a file of the data folder holds.
func (r *running) file(name string) string {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.data, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(raw)
}

// ask makes one call of the REST API with a token and returns its status and body.
func (r *running) ask(method, path, token, body string) (int, string, error) {
	q, err := http.NewRequestWithContext(context.Background(), method, "http://"+r.at.HTTP+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	q.Header.Set("Content-Type", "application/json")
	a, err := r.client.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = a.Body.Close() }()
	raw, err := io.ReadAll(a.Body)
	return a.StatusCode, string(raw), err
}

// call posts as the admin and returns the status.
func (r *running) call(path, body string) (int, error) {
	code, _, err := r.ask(http.MethodPost, path, r.token, body)
	return code, err
}

// must makes a call as the admin that has to succeed, and returns the body.
func (r *running) must(path, body string) string {
	r.t.Helper()
	return r.as(r.token, http.MethodPost, path, body)
}

// as makes a call with a token that has to succeed, and returns the body.
func (r *running) as(token, method, path, body string) string {
	r.t.Helper()
	code, answer, err := r.ask(method, path, token, body)
	if err != nil || code != http.StatusOK {
		r.t.Fatalf("%s %s: %d, %s, %v", method, path, code, answer, err)
	}
	return answer
}

// read decodes a body.
func read[V any](t *testing.T, body string) (v V) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

// credentials are those of an appliance.
type credentials struct{ ID, User, Password, Token string }

// published is what an appliance is answered.
type published struct {
	EventID   string `json:"eventId"`
	Sequence  string `json:"sequence"`
	Duplicate bool   `json:"duplicate"`
}

func (r *running) appliance(id string) credentials {
	r.t.Helper()
	c := read[credentials](r.t, r.must("/v1/appliances", fmt.Sprintf(`{"id":%q}`, id)))
	r.known(c.Token)
	return c
}

// known waits until a token that has just been made is known: changes act within seconds.
func (r *running) known(token string) {
	r.t.Helper()
	waittest.NoError(r.t, "a new token to be known", func() error {
		code, answer, err := r.ask(http.MethodGet, "/v1/self", token, "")
		if err != nil || code == http.StatusUnauthorized {
			return fmt.Errorf("it is answered %d %s, %w", code, answer, err)
		}
		return nil
	})
}

// recipient adds an HTTP recipient of the end of support sessions; more is further fields of it.
func (r *running) recipient(name, url, more string) string {
	r.t.Helper()
	return read[struct{ ID string }](r.t, r.must("/v1/recipients",
		fmt.Sprintf(`{"displayName":%q,"eventTypes":["support_conference_end"],"http":{"url":%q}%s}`, name, url, more))).ID
}

func (r *running) publish(token, id string) published {
	r.t.Helper()
	return read[published](r.t, r.as(token, http.MethodPost, "/v1/events", event(id)))
}

func event(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"a-1","type":"support_conference_end","time":%q}`, id,
		time.Now().UTC().Format(time.RFC3339))
}

// request is what a receiver got.
type request struct{ id, body string }

// receiver is a web server that accepts what it is sent.
func receiver(t *testing.T) (url string, got <-chan request) {
	t.Helper()
	// More than any test sends: a receiver that waits to be read would not end.
	requests := make(chan request, 10_000)
	site := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- request{q.Header.Get("webhook-id"), string(body)}
	}))
	t.Cleanup(site.Close)
	return site.URL, requests
}
