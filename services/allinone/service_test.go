package allinone_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
)

func dial(t *testing.T, address string) error {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func TestItAnswersOnItsAddressesUntilItEnds(t *testing.T) {
	r := start(t, options(t))
	addresses := []string{r.at.HTTP, r.at.GRPC, r.at.NATS}
	for _, address := range addresses {
		if strings.HasSuffix(address, ":0") {
			t.Errorf("%s is not the port that was chosen", address)
		}
		if err := dial(t, address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
		r.as("", http.MethodGet, path, "")
	}
	r.end()
	for _, address := range addresses {
		if err := dial(t, address); err == nil {
			t.Errorf("%s is still open", address)
		}
	}
}

func TestTheDataFolderHoldsWhatAnOperatorNeeds(t *testing.T) {
	o := options(t)
	o.Data = filepath.Join(o.Data, "new", "folder")
	r := start(t, o)
	if got := read[allinone.Endpoints](t, r.file("endpoints.json")); got != r.at {
		t.Errorf("endpoints.json has %+v, not %+v", got, r.at)
	}
	if !strings.Contains(r.file("endpoints.json"), `"http":"`+r.at.HTTP+`"`) {
		t.Error(r.file("endpoints.json"))
	}
	for _, name := range []string{"admin.token", "service.token", "seal.key", "endpoints.json"} {
		info, err := os.Stat(filepath.Join(o.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 || info.Size() == 0 {
			t.Errorf("%s has %d bytes and the mode %v", name, info.Size(), info.Mode())
		}
	}
	if _, err := os.Stat(filepath.Join(o.Data, "endpoints.json.new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a part of endpoints.json is left: %v", err)
	}
	if link := waittest.Receive(t, "the link for the first user", r.first); !strings.HasPrefix(link, "http://"+r.at.HTTP+"/") {
		t.Errorf("the first user is made at %s", link)
	}
}

func TestATokenOpensOnlyWhatItIsFor(t *testing.T) {
	r := start(t, options(t))
	a := r.appliance("a-1")
	r.appliance("a-2")
	for _, c := range []struct {
		name, method, path, token, body string
		want                            int
		says                            string
	}{
		{"no token", http.MethodGet, "/v1/recipients", "", "", http.StatusUnauthorized, ""},
		{"a wrong token", http.MethodGet, "/v1/recipients", "wrong", "", http.StatusUnauthorized, ""},
		{"an event without a token", http.MethodPost, "/v1/events", "", event("e-1"), http.StatusUnauthorized, ""},
		{"an appliance that lists recipients", http.MethodGet, "/v1/recipients", a.Token, "", http.StatusForbidden, ""},
		{"an appliance that publishes", http.MethodPost, "/v1/events", a.Token, event("e-1"), http.StatusOK, `"a-1~e-1"`},
		{"an event of another appliance", http.MethodPost, "/v1/events", a.Token, strings.ReplaceAll(event("e-2"), "a-1", "a-2"),
			http.StatusForbidden, "NOT_YOUR_APPLIANCE"},
		{"an unknown type", http.MethodPost, "/v1/events", a.Token, strings.ReplaceAll(event("e-3"), "_end", "_ent"),
			http.StatusBadRequest, "did you mean support_conference_end?"},
		{"no event", http.MethodPost, "/v1/events", a.Token, "{}", http.StatusBadRequest, "MISSING"},
		{"the admin lists events", http.MethodGet, "/v1/events", r.token, "", http.StatusOK, ""},
	} {
		code, answer, err := r.ask(c.method, c.path, c.token, c.body)
		if err != nil || code != c.want || !strings.Contains(answer, c.says) {
			t.Errorf("%s: %d, %s, %v", c.name, code, answer, err)
		}
	}
}

func TestAnEventTravelsFromHTTPToAReceiver(t *testing.T) {
	url, got := receiver(t)
	r := start(t, options(t))
	a := r.appliance("a-1")
	id := r.recipient("Tickets", url, "")
	answer := r.publish(a.Token, "e-1")
	if answer.EventID != "a-1~e-1" || answer.Sequence == "" || answer.Duplicate {
		t.Errorf("answered %+v", answer)
	}
	q := waittest.Receive(t, "the event", got)
	if q.id != "a-1~e-1" || !strings.HasPrefix(q.body, "event=support_conference_end&version=1&timestamp=") ||
		!strings.Contains(q.body, "&appliance_id=a-1&") {
		t.Errorf("received %+v", q)
	}
	// The services behind REST know of it: ingest has accepted it, history has its record.
	waittest.Until(t, "its delivery to be recorded", func() bool {
		return strings.Contains(r.as(r.token, http.MethodGet, "/v1/deliveries?recipient_id="+id, ""), `"DELIVERED"`)
	})
	if one := r.as(r.token, http.MethodGet, "/v1/events/a-1~e-1", ""); !strings.Contains(one, "support_conference_end") {
		t.Error(one)
	}
	if again := r.publish(a.Token, "e-1"); !again.Duplicate || again.Sequence != answer.Sequence {
		t.Errorf("a repeat is answered %+v", again)
	}
	r.publish(a.Token, "e-2")
	if q := waittest.Receive(t, "the next event", got); q.id != "a-1~e-2" {
		t.Errorf("the repeat was sent: %+v", q)
	}
}

func TestAnEventTravelsFromNATSToAReceiver(t *testing.T) {
	url, got := receiver(t)
	r := start(t, options(t))
	a := r.appliance("a-1")
	r.recipient("Tickets", url, "")
	var c *nats.Conn
	waittest.NoError(t, "the account of the appliance", func() (err error) {
		c, err = nats.Connect("nats://"+r.at.NATS, nats.UserInfo(a.User, a.Password))
		return err
	})
	defer c.Close()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	answer, err := c.RequestWithContext(ctx, "outbound.ingest.a-1.support_conference_end", []byte(event("e-1")))
	if err != nil || !strings.Contains(string(answer.Data), "a-1~e-1") {
		t.Fatalf("%+v, %v", answer, err)
	}
	if q := waittest.Receive(t, "the event", got); q.id != "a-1~e-1" {
		t.Errorf("received %+v", q)
	}
	if c, err := nats.Connect("nats://"+r.at.NATS, nats.UserInfo(a.User, "wrong")); err == nil {
		c.Close()
		t.Error("a wrong password opens a connection")
	}
}

// What was accepted is delivered by the next process, and the appliance, the recipient and the tokens are those of before.
func TestARestartKeepsWhatWasAccepted(t *testing.T) {
	for _, sync := range []allinone.Sync{allinone.SyncAlways, allinone.SyncInterval} {
		t.Run(string(sync), func(t *testing.T) {
			url, got := receiver(t)
			o := options(t)
			o.Sync = sync
			before := start(t, o)
			a := before.appliance("a-1")
			id := before.recipient("Paused", url, `,"enabled":false,"whileDisabled":"HOLD"`)
			want := make(map[string]bool)
			var first published
			for i := range 5 {
				answer := before.publish(a.Token, fmt.Sprint("e-", i))
				want[answer.EventID] = true
				if i == 0 {
					first = answer
				}
			}
			before.end()
			if len(got) != 0 {
				t.Fatal("a recipient that is disabled got an event")
			}

			after := start(t, o)
			if after.token != before.token {
				t.Error("the admin's token is another")
			}
			if at := read[allinone.Endpoints](t, after.file("endpoints.json")); at != after.at {
				t.Errorf("endpoints.json has %+v, not %+v", at, after.at)
			}
			if again := after.publish(a.Token, "e-0"); !again.Duplicate || again.Sequence != first.Sequence {
				t.Errorf("a repeat is answered %+v, the first was %+v", again, first)
			}
			after.as(after.token, http.MethodPatch, "/v1/recipients/"+id, `{"enabled":true}`)
			for range 5 {
				q := waittest.Receive(t, "an event accepted before the restart", got)
				if !want[q.id] {
					t.Errorf("%s came that is not owed", q.id)
				}
				delete(want, q.id)
			}
		})
	}
}

// fails runs an all-in-one that cannot start, and returns why.
func fails(t *testing.T, o allinone.Options) error {
	t.Helper()
	s, err := allinone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { ended <- s.Run(ctx) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Fatal("it ended without an error")
		}
		return err
	case <-s.Ready():
		stop()
		<-ended
		t.Fatal("it started")
	}
	return nil
}

func TestATakenPortNamesItsFlagAndFreesTheRest(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	data := t.TempDir()
	for _, c := range []struct {
		flag string
		set  func(o *allinone.Options, address string)
	}{
		{"--http", func(o *allinone.Options, address string) { o.HTTP = address }},
		{"--grpc", func(o *allinone.Options, address string) { o.GRPC = address }},
		{"--nats", func(o *allinone.Options, address string) { o.NATS = address }},
	} {
		o := options(t)
		o.Data = data
		c.set(&o, taken.Addr().String())
		got := fails(t, o).Error()
		if !strings.HasPrefix(got, c.flag+" "+taken.Addr().String()+": ") || !strings.Contains(got, "choose another") {
			t.Errorf("%s taken: %s", c.flag, got)
		}
		c.set(&o, "127.0.0.1:http-or-so")
		if got := fails(t, o).Error(); !strings.HasPrefix(got, c.flag) || !strings.Contains(got, "http-or-so") {
			t.Errorf("%s is no port: %s", c.flag, got)
		}
	}
	var usage *process.UsageError
	o := options(t)
	if o.HTTP = taken.Addr().String(); !errors.As(fails(t, o), &usage) {
		t.Error("a taken port is not a mistake of use")
	}
	// Nothing of the failed starts is left: the folder and the ports can be used.
	o = options(t)
	o.Data = data
	start(t, o).end()
}

func TestADataFolderInUseIsLeftAlone(t *testing.T) {
	r := start(t, options(t))
	before := r.file("endpoints.json")
	o := options(t)
	o.Data = r.data
	err := fails(t, o)
	if !errors.Is(err, embed.ErrLocked) || !strings.HasPrefix(err.Error(), "--data "+r.data+": ") ||
		!strings.Contains(err.Error(), fmt.Sprint("process id ", os.Getpid())) {
		t.Errorf("%v", err)
	}
	if after := r.file("endpoints.json"); after != before {
		t.Errorf("endpoints.json became %s", after)
	}
	r.as("", http.MethodGet, "/readyz", "")
	r.end()
	// Once it has ended, the folder is free.
	start(t, o).end()
}

func TestADataFolderThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(path string) error
		says string
	}{
		{"a file", func(path string) error { return os.WriteFile(path, nil, 0o600) }, "data: create directory"},
		{"an empty token", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "admin.token"), nil, 0o600))
		}, "admin.token"},
		{"a damaged key", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "seal.key"), []byte("short"), 0o600))
		}, "seal.key"},
		{"a file for the broker", func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "broker"), nil, 0o600))
		}, "--data "},
		{"endpoints that cannot be removed", func(path string) error {
			return os.MkdirAll(filepath.Join(path, "endpoints.json", "x"), 0o700)
		}, "endpoints.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t)
			o.Data = filepath.Join(o.Data, "data")
			if err := c.make(o.Data); err != nil {
				t.Fatal(err)
			}
			if err := fails(t, o); !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Who waits for endpoints.json waits for this process: that of an earlier one is gone, though this one does not get ready.
func TestItEndsThoughItWasNeverReady(t *testing.T) {
	o := options(t)
	path := filepath.Join(o.Data, "endpoints.json")
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := allinone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	// It is told to end when its broker has just started.
	ctx, stop := context.WithCancel(t.Context())
	s.OnBroker(func(*embed.Server) { stop() })
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	if err := waittest.Receive(t, "its end", ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case at := <-s.Ready():
		t.Errorf("it was ready at %+v", at)
	default:
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("endpoints.json of an earlier process: %v", err)
	}
}

// What the first start has made is missed by the next: nothing is made in its place.
func TestAStartIsRefusedWithoutWhatWasThere(t *testing.T) {
	o := options(t)
	start(t, o).end()
	for _, path := range []string{"seal.key", "admin.token", "broker", "broker/jetstream/CORE/streams/EVENTS",
		"broker/jetstream/CORE/streams/KV_outbound_settings"} {
		t.Run(path, func(t *testing.T) {
			away := filepath.Join(t.TempDir(), "away")
			if err := os.Rename(filepath.Join(o.Data, path), away); err != nil {
				t.Fatal(err)
			}
			err := fails(t, o)
			name := strings.TrimPrefix(filepath.Base(path), "KV_")
			if path == "broker" {
				name = "EVENTS"
			}
			if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "outbound repair --data "+o.Data) {
				t.Errorf("refused with %v", err)
			}
			if err := errors.Join(os.RemoveAll(filepath.Join(o.Data, path)), os.Rename(away, filepath.Join(o.Data, path))); err != nil {
				t.Fatal(err)
			}
		})
	}
	start(t, o)
}
