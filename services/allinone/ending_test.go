package allinone_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/waittest"
)

const (
	// endsWithin is how long the end may take when the broker does not answer.
	endsWithin = 10 * time.Second
)

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
			r := start(t, options(t))
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
			if err, took := r.wait(), time.Since(began); took > endsWithin || err != nil {
				t.Errorf("it ended after %v: %v", took, err)
			}
			posts.Wait()
		})
	}
}
