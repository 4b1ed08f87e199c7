package harness

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// Shape is one of the ways in which Outbound runs.
type Shape string

// The shapes.
const (
	// AllInOne is one process with the broker embedded.
	AllInOne Shape = "allinone"
	// Services is each service a process of its own, two http-senders unless said otherwise, and a stock nats-server.
	Services Shape = "services"
	// Cluster is Services with three stock nats-servers, which keep each stream three times.
	Cluster Shape = "cluster"
)

// Shapes are those in which suites run, in this order.
func Shapes() []Shape { return []Shape{AllInOne, Services} }

// System is a running Outbound, in either shape.
type System struct {
	Shape Shape
	// Dir holds all that it writes; logs are in Dir/logs.
	Dir string
	// REST is the API with the admin token.
	REST *Client
	// Sync is the broker's policy: always or interval.
	Sync string
	// Senders is how many http-senders the shape Services has.
	Senders int
	// Redis is where those share rate limits, host:port. Empty: each keeps them alone.
	Redis string
	// TLS has everything of the shape Services speak it, with certificates that the product makes.
	TLS bool
	// StaticAccounts has the stock broker's accounts in a file, which each new appliance needs a reload of.
	StaticAccounts bool
	// Store is the folder of the stock broker's store. Empty: one in Dir.
	Store string
	// Env is added to the environment of the all-in-one: options.
	Env []string
	// EnvOf is added to the environment of single processes of the services, by name.
	EnvOf map[string][]string
	// Link, if set, says where a service dials to reach a listener of another process, e.g. a proxy in front of it. The listener is
	// called by process and kind: nats/nats, config/grpc.
	Link func(t T, from, listener, address string) string

	// owner is the test that the system was started for, and ends with.
	owner T
	parts []*part
	// nats is the address appliances connect to, grpc where each service of the API is answered.
	nats string
	grpc map[string]string
	// monitors are the monitoring addresses of the brokers.
	monitors map[string]string
	// login is what an appliance signs in to the broker with.
	login func(user, password string) nats.Option
	// added is called when there are new appliances, for a broker that reads its users from a file.
	added func(t T, ids ...string)
	// secure verifies listeners; nil without TLS.
	secure *tls.Config
	// compose is set in the shape Containers.
	compose *containers
	// made are the appliances of AddAppliances.
	made map[string]*Appliance
}

// part is one process of a system.
type part struct {
	name  string
	path  string
	args  []string
	env   []string
	ready func() error
	// started is called once ready, e.g. to read addresses.
	started func(t T)
	process *Process
	// killed says that its end was our doing.
	killed bool
}

// Start starts Outbound in a shape, with fsync always, and waits until it is ready. It ends with the test.
func Start(t T, shape Shape) *System {
	t.Helper()
	return StartIn(t, shape, t.TempDir(), "always")
}

// StartIn is Start on a data folder and with a sync policy.
func StartIn(t T, shape Shape, dir, sync string) *System {
	t.Helper()
	return begin(t, &System{Shape: shape, Dir: dir, Sync: sync, Senders: 2})
}

// StartSenders starts the shape Services with a number of http-senders that share rate limits by a Redis.
func StartSenders(t T, dir string, senders int, redis string) *System {
	t.Helper()
	return begin(t, &System{Shape: Services, Dir: dir, Sync: "always", Senders: senders, Redis: redis})
}

// StartWith starts a system as its exported fields say.
func StartWith(t T, h *System) *System {
	t.Helper()
	return begin(t, h)
}

// begin starts a system as its fields say.
func begin(t T, h *System) *System {
	t.Helper()
	h.REST, h.made, h.owner = NewClient("", ""), map[string]*Appliance{}, t
	if err := os.MkdirAll(filepath.Join(h.Dir, "logs"), 0o755); err != nil {
		t.Fatalf("make the folder for logs: %v", err)
	}
	t.Cleanup(func() { h.tails(t) })
	switch h.Shape {
	case AllInOne:
		h.allInOne(t)
	case Services, Cluster:
		h.services(t)
	case Containers:
		h.containers(t)
	default:
		t.Fatalf("start: there is no shape %q", h.Shape)
	}
	h.StartAll(t)
	t.Cleanup(h.REST.Close)
	return h
}

// tails shows the end of each log of a failed test. A race that the race detector has seen fails it.
func (h *System) tails(t T) {
	for _, p := range h.parts {
		if p.process == nil {
			continue
		}
		if _, race, found := strings.Cut(p.process.Output(), raceReport); found {
			t.Errorf("%s: %s%s", p.name, raceReport, race[:min(len(race), 4000)])
		}
	}
	if !t.Failed() {
		return
	}
	for _, p := range h.parts {
		if p.process != nil {
			t.Logf("the end of what %s wrote:\n%s", p.name, p.process.Tail(10))
		}
	}
}

// Parts are the names of the processes, in the order in which they are started.
func (h *System) Parts() []string {
	var out []string
	for _, p := range h.parts {
		out = append(out, p.name)
	}
	return out
}

// StartAll starts every process that does not run, and waits until all are ready. The brokers of a cluster come first.
func (h *System) StartAll(t T) {
	t.Helper()
	for _, p := range h.parts {
		// The config service needs streams that can be read: three brokers choose a leader first.
		if h.Shape == Cluster && !isBroker(p.name) {
			h.awaitCluster(t)
		}
		h.launch(t, p)
	}
	for _, p := range h.parts {
		h.await(t, p)
	}
}

// StartPart starts one process and waits until it is ready.
func (h *System) StartPart(t T, name string) {
	t.Helper()
	p := h.part(t, name)
	h.launch(t, p)
	h.await(t, p)
}

func (h *System) await(t T, p *part) {
	t.Helper()
	waittest.NoError(t, p.name+" to be ready", func() error {
		if p.process.Exited() {
			t.Fatalf("%s ended instead of getting ready; it wrote:\n%s", p.name, p.process.Tail(25))
		}
		return p.ready()
	})
	if p.started != nil {
		p.started(t)
	}
}

func (h *System) part(t T, name string) *part {
	t.Helper()
	i := slices.IndexFunc(h.parts, func(p *part) bool { return p.name == name })
	if i < 0 {
		t.Fatalf("there is no process %q among %v", name, h.Parts())
	}
	return h.parts[i]
}

// Kill ends a process with SIGKILL.
func (h *System) Kill(t T, name string) {
	t.Helper()
	p := h.part(t, name)
	if p.process.Exited() {
		t.Fatalf("kill %s: it is not running", name)
	}
	p.process.Kill()
	p.killed = true
}

// Freeze has a process do nothing any more, until it is killed: it keeps its connections and answers on none.
func (h *System) Freeze(t T, name string) {
	t.Helper()
	p := h.part(t, name)
	p.process.signal(syscall.SIGSTOP)
	p.killed = true
}

// Ready is why a process is not ready; nil: it is.
func (h *System) Ready(t T, name string) error {
	t.Helper()
	return h.part(t, name).ready()
}

// Output is all that a process has written.
func (h *System) Output(t T, name string) string {
	t.Helper()
	return h.part(t, name).process.Output()
}

// StopPart asks one process to end, and returns its exit code and how long it took; an error if it hangs.
func (h *System) StopPart(t T, name string) (code int, took time.Duration, err error) {
	t.Helper()
	began := time.Now()
	code, err = h.part(t, name).process.Stop()
	return code, time.Since(began), err
}

// Stop asks every process to end, the last started first, and checks that each does so with exit code 0.
func (h *System) Stop(t T) {
	t.Helper()
	for _, p := range slices.Backward(h.parts) {
		if p.killed {
			continue
		}
		if p.process.Exited() {
			t.Errorf("stop: %s had ended by itself", p.name)
		}
		code, err := p.process.Stop()
		switch {
		case err != nil:
			t.Errorf("stop: %v", err)
			p.process.Kill()
		case code != 0 && !isBroker(p.name):
			t.Errorf("stop: %s ended with exit code %d", p.name, code)
		}
	}
}

// broker is the name of the stock nats-server, which ends with 1 at SIGTERM. Those of a cluster are numbered from 1.
const broker = "nats"

func isBroker(name string) bool { return name == broker || strings.HasPrefix(name, broker+"-") }

// Logs is all that our processes have written.
func (h *System) Logs() string {
	var b strings.Builder
	for _, p := range h.parts {
		if !isBroker(p.name) {
			b.WriteString(p.process.Output())
		}
	}
	return b.String()
}

// okay asks a readiness address.
func okay(base string) func() error { return okayOver(base, nil) }

// okayOver is okay for a listener that is verified so.
func okayOver(base string, secure *tls.Config) func() error {
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: secure}}
	return func() error {
		q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, base+"/readyz", nil)
		if err != nil {
			return err
		}
		r, err := client.Do(q)
		if err != nil {
			return err
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("%s/readyz answers %d", base, r.StatusCode)
		}
		return nil
	}
}

// AddAppliance makes an appliance by REST, unless AddAppliances has made it, and connects it to the broker with a stock client.
func (h *System) AddAppliance(t T, id string) *Appliance {
	t.Helper()
	a, made := h.made[id]
	if !made {
		a = h.makeAppliance(t, id)
		if h.added != nil {
			h.added(t, id)
		}
	}
	waittest.NoError(t, "the broker to know "+id, func() (err error) {
		a.nc, err = h.Dial(a.User, a.Password, nats.Name(id), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
		return err
	})
	t.Cleanup(a.nc.Close)
	t.Cleanup(a.rest.Close)
	return a
}

// AddAppliances makes appliances at once, for tests that run beside each other and are going to add them: while a stock broker reads a
// new account its JetStream may not answer.
func (h *System) AddAppliances(t T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		h.made[id] = h.makeAppliance(t, id)
	}
	if h.added != nil {
		h.added(t, ids...)
	}
}

func (h *System) makeAppliance(t T, id string) *Appliance {
	t.Helper()
	c := h.REST.Do(t, http.MethodPost, "/v1/appliances", Object{"id": id})
	text := func(k string) string { s, _ := c[k].(string); return s }
	a := &Appliance{ID: id, User: text("user"), Password: text("password"), Token: text("token"), rest: NewClient(h.REST.Base, text("token"))}
	if a.User == "" || a.Password == "" || a.Token == "" {
		t.Fatalf("add appliance %s: the answer lacks credentials", id)
	}
	a.rest.Trust(h.secure)
	return a
}

// AddRecipient makes a recipient by REST and returns its id.
func (h *System) AddRecipient(t T, r Object) string {
	t.Helper()
	id, _ := h.REST.Do(t, http.MethodPost, "/v1/recipients", r)["id"].(string)
	return id
}

// GRPC is a connection to whoever answers a service of the API, e.g. RecipientService, with the admin token.
func (h *System) GRPC(t T, service string) *grpc.ClientConn {
	t.Helper()
	address, ok := h.grpc[service]
	if !ok {
		address = h.grpc[""]
	}
	transport := insecure.NewCredentials()
	if h.secure != nil {
		transport = credentials.NewTLS(h.secure)
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(bearer(h.REST.Token)))
	if err != nil {
		t.Fatalf("open a gRPC connection to %s: %v", address, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// bearer sends a token with each call, also on loopback without TLS.
type bearer string

// GetRequestMetadata is the Authorization header.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: tests talk over loopback.
func (b bearer) RequireTransportSecurity() bool { return false }
