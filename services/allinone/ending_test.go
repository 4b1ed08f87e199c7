package allinone_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
)

const (
	// endsWithin is how long the end may take when the broker does not answer.
	endsWithin = 10 * time.Second
)

// running is an all-in-one with the broker in the test's hands.
type running struct {
	t      *testing.T
	at     allinone.Endpoints
	token  string
	broker *embed.Server
	stop   context.CancelFunc
	ended  chan error
}

func start(t *testing.T) *running {
	t.Helper()
	o := allinone.DefaultOptions()
	o.Data, o.HTTP, o.GRPC, o.NATS = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	o.URLPolicy, o.AllowEgress = recipient.AnyURL, []string{"127.0.0.0/8"}
	s, err := allinone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, ended: make(chan error, 1)}
	s.OnBroker(func(b *embed.Server) { r.broker = b })
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.ended <- s.Run(ctx) }()
	select {
	case r.at = <-s.Ready():
	case err := <-r.ended:
		t.Fatalf("it ended instead of getting ready: %v", err)
	}
	raw, err := os.ReadFile(filepath.Join(o.Data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	r.token = strings.TrimSpace(string(raw))
	return r
}

// call makes one call of the REST API and returns its status.
func (r *running) call(path, body string) (int, error) {
	q, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+r.at.HTTP+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	q.Header.Set("Content-Type", "application/json")
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, err
	}
	defer func() { _ = a.Body.Close() }()
	_, err = io.Copy(io.Discard, a.Body)
	return a.StatusCode, err
}

func (r *running) must(path, body string) {
	r.t.Helper()
	if code, err := r.call(path, body); err != nil || code != http.StatusOK {
		r.t.Fatalf("POST %s: %d, %v", path, code, err)
	}
}

func event(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"a-1","type":"support_conference_end","time":%q}`, id,
		time.Now().UTC().Format(time.RFC3339))
}

// deleteStreams has the broker keep nothing, though it answers.
func deleteStreams(t *testing.T, b *embed.Server) {
	c, err := bus.Connect(t.Context(), bus.Options{User: embed.CoreUser, Password: b.CorePassword(), InProcess: b})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{bus.StreamEvents, bus.StreamHistory} {
		if err := js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
	}
}

// The all-in-one ends in time though its broker is gone, or stores nothing, in the middle of its work.
func TestTheAllInOneEndsInTimeThoughItsBrokerStoresNothing(t *testing.T) {
	for name, silence := range map[string]func(*testing.T, *embed.Server){
		"gone": func(_ *testing.T, b *embed.Server) { b.Shutdown() }, "without streams": deleteStreams,
	} {
		t.Run(name, func(t *testing.T) {
			asked, let := make(chan struct{}, 100), make(chan struct{})
			site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-let }))
			defer site.Close()
			defer close(let)
			r := start(t)
			defer r.stop()
			r.must("/v1/appliances", `{"id":"a-1"}`)
			r.must("/v1/recipients", fmt.Sprintf(`{"displayName":"Hangs","eventTypes":["support_conference_end"],"http":{"url":%q}}`, site.URL))
			for i := range 8 {
				r.must("/v1/events", event(fmt.Sprint("e-", i)))
			}
			for range 8 {
				<-asked
			}
			silence(t, r.broker)
			var posts sync.WaitGroup
			refused := make(chan struct{}, 100)
			for i := range 8 {
				posts.Go(func() {
					for n := range 3 {
						if code, err := r.call("/v1/events", event(fmt.Sprintf("late-%d-%d", i, n))); err != nil || code == http.StatusOK {
							return
						}
						refused <- struct{}{}
					}
				})
			}
			waittest.Receive(t, "an event to be refused", refused)
			began := time.Now()
			r.stop()
			if err, took := waittest.Receive(t, "its end", r.ended), time.Since(began); took > endsWithin || err != nil {
				t.Errorf("it ended after %v: %v", took, err)
			}
			posts.Wait()
		})
	}
}
