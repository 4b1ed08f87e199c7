package allinone_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
)

// keyState is what the API tells of the sealing keys.
type keyState struct {
	Keys []struct {
		ID, State, Place     string
		Secrets, PastSecrets string
	}
	Rotation struct{ State, To, Error string }
}

func (r *running) keys() keyState {
	r.t.Helper()
	return read[keyState](r.t, r.as(r.token, http.MethodGet, "/v1/keys", ""))
}

// counting is a receiver that counts events by id, those with the right password and the others.
type counting struct {
	*httptest.Server
	mu           sync.Mutex
	right, wrong map[string]int
}

func newCounting(t *testing.T) *counting {
	c := &counting{right: map[string]int{}, wrong: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, password, _ := q.BasicAuth(); password != "hunter2-of-the-receiver" {
			c.wrong[q.Header.Get("webhook-id")]++
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c.right[q.Header.Get("webhook-id")]++
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *counting) counts() (events, repeats, wrong int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.right {
		repeats += n - 1
	}
	return len(c.right), repeats, len(c.wrong)
}

func TestDeliveriesGoOnWhileTheSealingKeyIsRotated(t *testing.T) {
	o := options(t)
	r := start(t, o)
	c := newCounting(t)
	device := r.appliance("site-1")
	for i := range 3 {
		r.must("/v1/recipients", fmt.Sprintf(`{"displayName":"R%d","eventTypes":["support_conference_end"],"http":{"url":%q,
			"auth":{"basic":{"username":"u","password":"hunter2-of-the-receiver"}}}}`, i, fmt.Sprintf("%s/%d", c.URL, i)))
	}
	before := r.keys()
	if len(before.Keys) != 1 || before.Keys[0].State != "ACTIVE" || before.Keys[0].Secrets != "3" {
		t.Fatalf("the keys are %+v", before)
	}
	// Events are published before, while and after everything is sealed anew, twice.
	published := 0
	for range 2 {
		r.must("/v1/keys:rotate", "{}")
		for done := false; !done; {
			for range 5 {
				r.publish(device.Token, fmt.Sprintf("e-%d", published))
				published++
			}
			now := r.keys()
			if now.Rotation.State == "INTERRUPTED" {
				t.Fatalf("the rotation was interrupted: %s", now.Rotation.Error)
			}
			done = now.Rotation.State == "WAITING" || now.Rotation.State == "DONE"
		}
	}
	waittest.Until(t, "all events arrive", func() bool {
		n, repeats, _ := c.counts()
		return n == published && repeats >= 2*n
	})
	if n, repeats, wrong := c.counts(); repeats != 2*n || wrong != 0 { // three recipients get each event
		t.Errorf("of %d events, %d requests were repeats and %d had another password", n, repeats-2*n, wrong)
	}
	waittest.Until(t, "the old key is dropped", func() bool { return r.keys().Rotation.State == "DONE" })
	after := r.keys()
	if len(after.Keys) != 1 || after.Keys[0].ID == before.Keys[0].ID || after.Keys[0].Secrets != "3" || after.Keys[0].PastSecrets != "6" {
		t.Errorf("the keys are %+v", after)
	}
	key, err := secret.LoadKey(filepath.Join(o.Data, "seal.key"))
	if err != nil || key.Root() != after.Keys[0].ID {
		t.Errorf("seal.key has %v, %v", key.Roots(), err)
	}
	r.end()
	again := start(t, o)
	again.publish(device.Token, "after the restart")
	waittest.Until(t, "it arrives", func() bool { n, _, _ := c.counts(); return n == published+1 })
}

// refused starts an all-in-one that must end with an error, and returns it.
func refused(t *testing.T, o allinone.Options) error {
	t.Helper()
	s, err := allinone.New(o)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(context.Background()) }()
	return waittest.Receive(t, "the refusal", ended)
}

func TestAStartWithTheWrongKeyIsRefused(t *testing.T) {
	o := options(t)
	o.JetStreamKey = "env:STORE_KEY"
	t.Setenv("STORE_KEY", strings.Repeat("k", 32))
	r := start(t, o)
	r.must("/v1/recipients", `{"displayName":"R","eventTypes":["support_conference_end"],"http":{"url":"https://receiver.example.com",
		"auth":{"basic":{"username":"u","password":"hunter2-of-the-receiver"}}}}`)
	device := r.appliance("site-1")
	r.publish(device.Token, "canary-event-1")
	r.end()
	shown(t, filepath.Join(o.Data, "broker"), "canary-event-1", "site-1", "receiver.example.com")
	own := filepath.Join(o.Data, "seal.key")
	content, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	if _, err := secret.LoadOrCreateKey(other); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTHER_STORE_KEY", strings.Repeat("o", 32))
	t.Setenv("SHORT_KEY", "short")
	for _, x := range []struct {
		name string
		with func(o *allinone.Options)
		want []string
	}{
		{"another sealing key", func(o *allinone.Options) { o.SealKey = "file:" + other },
			[]string{"--seal-key file:" + other, "opens none of the secrets", "recipients/r", "http.auth.basic.password"}},
		{"no sealing key there", func(o *allinone.Options) { o.SealKey = "file:" + other + "x" },
			[]string{"--seal-key file:" + other + "x", "no such file"}},
		{"an unknown scheme", func(o *allinone.Options) { o.SealKey = "awskms:x" }, []string{"sealKey (--seal-key)", `"awskms"`, "exec:"}},
		{"no key of the store", func(o *allinone.Options) { o.JetStreamKey = "" }, []string{"--jetstream-key (not given)", "is encrypted"}},
		{"another key of the store", func(o *allinone.Options) { o.JetStreamKey = "env:OTHER_STORE_KEY" },
			[]string{"--jetstream-key (env:OTHER_STORE_KEY)", "another key"}},
		{"a short key of the store", func(o *allinone.Options) { o.JetStreamKey = "env:SHORT_KEY" }, []string{"--jetstream-key", "32"}},
	} {
		with := o
		x.with(&with)
		err := refused(t, with)
		for _, want := range x.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", x.name, err, want)
			}
		}
	}
	// The inventory is what tells that there was a key; without both, the secrets do.
	for _, name := range []string{"seal.key", "inventory.json"} {
		if err := os.Remove(filepath.Join(o.Data, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := refused(t, o); err == nil || !strings.Contains(err.Error(), "seal.key was missing") {
		t.Errorf("without seal.key: %v", err)
	}
	if _, err := os.Stat(own); !os.IsNotExist(err) {
		t.Errorf("a new key was left in its place: %v", err)
	}
	// With the key elsewhere all is there.
	t.Setenv("MY_SEAL_KEY", string(content))
	o.SealKey = "env:MY_SEAL_KEY"
	again := start(t, o)
	if got := again.as(again.token, http.MethodGet, "/v1/events/site-1~canary-event-1", ""); !strings.Contains(got, "canary-event-1") {
		t.Errorf("the event is gone: %s", got)
	}
	if got := again.keys(); got.Keys[0].Secrets != "1" || got.Keys[0].Place != "env:MY_SEAL_KEY" {
		t.Errorf("the keys are %+v", got)
	}
	code, answer, err := again.ask(http.MethodPost, "/v1/keys:rotate", again.token, "{}")
	if err != nil || code != http.StatusBadRequest || !strings.Contains(answer, "outbound keys new --after") {
		t.Errorf("a rotation without a new key: %d %s %v", code, answer, err)
	}
}

// shown checks that no file below a folder holds a text.
func shown(t *testing.T, dir string, texts ...string) {
	t.Helper()
	looked := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		looked += len(b)
		for _, text := range texts {
			if strings.Contains(string(b), text) {
				t.Errorf("%s shows %q", path, text)
			}
		}
		return err
	})
	if err != nil || looked < 1000 {
		t.Errorf("%d bytes were looked at, %v", looked, err)
	}
}
