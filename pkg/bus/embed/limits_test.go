package embed_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestAnApplianceHasSoManyConnectionsAndSubscriptionsAndNoMore(t *testing.T) {
	s, err := embed.Start(embed.Options{StoreDir: t.TempDir(), Host: "127.0.0.1", Port: -1,
		Limits: embed.Limits{Connections: 3, Subscriptions: 5}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	allow(t, s, "a-1", "one", "a-2", "two")
	echo(t, core(t, s))
	first := mustConnect(t, s, "a-1", "one")
	for range 2 {
		mustConnect(t, s, "a-1", "one")
	}
	if _, err := connect(s, "a-1", "one"); err == nil || !strings.Contains(err.Error(), "maximum account active connections exceeded") {
		t.Errorf("a fourth connection: %v", err)
	}
	mustConnect(t, s, "a-2", "two")
	if m, err := first.Request("outbound.ingest.a-1.x", nil, waittest.Limit); err != nil || string(m.Data) != "outbound.ingest.a-1.x" {
		t.Errorf("with limits the intake answers %v, %v", m, err)
	}
	for range 5 { // the inbox is one already
		if _, err := first.SubscribeSync(nats.NewInbox()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-first.errs; !strings.Contains(err.Error(), "maximum subscriptions exceeded") { // or the test hangs
		t.Error(err)
	}
}

// Many connections with wrong passwords, of a known appliance and of unknown ones, keep nobody out who has the right one, though each right
// one costs a slow hash when it is first shown.
func TestAFloodOfWrongPasswordsKeepsNobodyOut(t *testing.T) {
	s := start(t, t.TempDir())
	allow(t, s, "a-1", "one", "a-2", "two", "a-3", "three")
	stop := make(chan struct{})
	var flood sync.WaitGroup
	for i := range 8 {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c, err := connect(s, []string{"a-1", "nobody"}[i%2], "wrong"); err == nil {
					c.Close()
					t.Error("a wrong password is right")
				}
			}
		})
	}
	defer flood.Wait()
	defer close(stop)
	for _, id := range []string{"a-2", "a-3"} {
		password := map[string]string{"a-2": "two", "a-3": "three"}[id]
		for range 10 {
			mustConnect(t, s, id, password).Close()
		}
	}
}

// All connections of a fleet behind one address come at once after a restart.
func TestManyConnectionsAtOnceAreNoGuesses(t *testing.T) {
	s := start(t, t.TempDir())
	allow(t, s, "a-1", "one")
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			c, err := connect(s, "a-1", "one")
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	all.Wait()
}

func TestGuessesOfOneAddressAreFew(t *testing.T) {
	s := start(t, t.TempDir())
	allow(t, s, "a-1", "one")
	c := mustConnect(t, s, "a-1", "one") // which shows that the password is right
	for range 60 {
		if _, err := connect(s, "a-1", "wrong"); err == nil {
			t.Fatal("a wrong password is right")
		}
	}
	// The one that was right before stays so.
	mustConnect(t, s, "a-1", "one")
	if c.Status() != nats.CONNECTED {
		t.Error("the first connection is gone")
	}
}
