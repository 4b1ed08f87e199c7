package deploytest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// operator makes an operator and returns the folder of its files.
func operator(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "broker")
	if _, err := accounts.Make(dir, filepath.Join(dir, "accounts")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// operated starts nats-server from deploy/nats/nats.conf with the accounts of an operator.
func operated(t *testing.T, dir, store string) *server.Server {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, accounts.FileConf))
	if err != nil {
		t.Fatal(err)
	}
	return brokerOf(t, copyConf(t, "nats.conf", accounts.FileConf, string(text)), store)
}

func stream(t *testing.T, url string, signIn nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, signIn, nats.Timeout(waittest.Limit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestCredentialsOpenTheCoreAccountAndNothingElseDoes(t *testing.T) {
	dir := operator(t)
	s := operated(t, dir, t.TempDir())
	js := stream(t, s.ClientURL(), nats.UserCredentials(filepath.Join(dir, accounts.FileCore)))
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Errorf("JetStream in the core account: %v", err)
	}
	other := operator(t)
	nc, err := nats.Connect(s.ClientURL(), nats.UserCredentials(filepath.Join(other, accounts.FileCore)))
	if !errors.Is(err, nats.ErrAuthorization) {
		nc.Close()
		t.Errorf("another operator's credentials were answered %v, want refused", err)
	}
}

// adopt runs deploy/nats/adopt.sh.
func adopt(t *testing.T, store, dir string) (string, error) {
	t.Helper()
	conf := filepath.Join(dir, accounts.FileConf)
	out, err := exec.CommandContext(t.Context(), "sh", "../../deploy/nats/adopt.sh", store, conf).CombinedOutput()
	return string(out), err
}

func acknowledge(t *testing.T, c jetstream.Consumer, n int) {
	t.Helper()
	for range n {
		m, err := c.Next()
		if err == nil {
			err = m.DoubleAck(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStreamsOfABrokerWithAStaticFileAreAdopted(t *testing.T) {
	store, dir := t.TempDir(), operator(t)
	before := static(t, "# none\n", store)
	js := stream(t, before.ClientURL(), nats.UserInfo("outbound.core", corePassword))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"outbound.events.>"}}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := js.Publish(t.Context(), "outbound.events.a-1.ended", []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	durable := jetstream.ConsumerConfig{Durable: "http-r", AckPolicy: jetstream.AckExplicitPolicy}
	consumer, err := js.CreateConsumer(t.Context(), "EVENTS", durable)
	if err != nil {
		t.Fatal(err)
	}
	acknowledge(t, consumer, 5)
	before.Shutdown()
	before.WaitForShutdown()

	for range 2 { // the second time there is nothing to do
		if out, err := adopt(t, store, dir); err != nil {
			t.Fatalf("adopt.sh: %v\n%s", err, out)
		}
	}
	after := operated(t, dir, store)
	js = stream(t, after.ClientURL(), nats.UserCredentials(filepath.Join(dir, accounts.FileCore)))
	s, err := js.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 20 {
		t.Errorf("%d messages are left of 20", n)
	}
	c, err := s.Consumer(t.Context(), "http-r")
	if err != nil {
		t.Fatal(err)
	}
	if i := c.CachedInfo(); i.NumPending != 15 || i.AckFloor.Consumer != 5 {
		t.Errorf("the consumer is at %d with %d to come, want 5 and 15", i.AckFloor.Consumer, i.NumPending)
	}
	after.Shutdown()
	after.WaitForShutdown()

	if err := os.MkdirAll(filepath.Join(store, "jetstream", "CORE"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := adopt(t, store, dir)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(out, "both") {
		t.Errorf("with two stores: %v, %s; want both kept and an error", err, out)
	}
}
