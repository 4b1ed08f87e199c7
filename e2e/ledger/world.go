package ledger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// world is a running system with all who talk to it.
type world struct {
	*stage
	settings  Settings
	plan      roundPlan
	system    *harness.System
	receivers *receivers
	sink      *sink
	publisher *publisher
	redis     *redisServer
	links     []*link
	// mount is the small file system of the broker's store; empty: there is none.
	mount             string
	published, faults *journal
	// startedAgain is why processes had to be started more than once.
	startedAgain *starts
}

// starts collects why processes had to be started more than once.
type starts struct {
	mu  sync.Mutex
	why []string
}

func (s *starts) add(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = append(s.why, why)
}

// take returns what was collected, and begins anew.
func (s *starts) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.why
	s.why = nil
	return why
}

// begin starts everything and makes appliances and recipients.
func begin(s *stage, settings Settings, p roundPlan) *world {
	w := &world{stage: s, settings: settings, plan: p, startedAgain: new(starts)}
	w.published = w.journal(publishedFile)
	w.faults = w.journal(faultsFile)
	w.receive()
	w.mountStore()
	h := &harness.System{Shape: p.Shape, Dir: s.TempDir(), Sync: "always", Senders: 2, StaticAccounts: settings.From != ""}
	if p.Shape != harness.AllInOne {
		if _, err := exec.LookPath("redis-server"); err == nil {
			w.redis = startRedis(s)
			h.Redis = w.redis.address
		}
		if w.plan.has([]string{eventsFull}) {
			h.EnvOf = map[string][]string{"config": {fmt.Sprint("OUTBOUND_STREAMS_EVENTS_MAX_BYTES=", eventsSize)}}
		}
		if w.plan.has(linkFaults()) {
			h.Link = w.link
		}
	}
	w.system = harness.StartWith(s, h)
	w.populate()
	return w
}

// has reports whether one of the faults is planned.
func (p roundPlan) has(names []string) bool {
	return slices.ContainsFunc(p.Steps, func(x step) bool {
		return slices.ContainsFunc(x.Faults, func(f string) bool { return slices.Contains(names, f) })
	})
}

func (w *world) journal(name string) *journal {
	j, err := openJournal(w.dir, name)
	if err != nil {
		w.Fatalf("%v", err)
	}
	w.Cleanup(j.close)
	return j
}

// receive starts the receivers and the relay.
func (w *world) receive() {
	var err error
	if w.receivers, err = startReceivers(w.plan.Seed, w.journal(receivedFile), profiles()); err != nil {
		w.Fatalf("%v", err)
	}
	w.Cleanup(w.receivers.close)
	if w.sink, err = startSink(w.plan.Seed, w.journal(mailedFile), profiles()); err != nil {
		w.Fatalf("%v", err)
	}
	w.Cleanup(w.sink.close)
}

// link puts a proxy before a listener.
func (w *world) link(_ harness.T, from, listener, address string) string {
	k, err := openLink(from+" to "+listener, address)
	if err != nil {
		w.Fatalf("%v", err)
	}
	w.links = append(w.links, k)
	w.Cleanup(k.close)
	return k.address()
}

// populate makes the relay's settings, appliances and recipients.
func (w *world) populate() {
	h := w.system
	h.REST.Do(w, http.MethodPatch, "/v1/settings/smtp", harness.Object{
		"host": w.sink.address.IP.String(), "port": w.sink.address.Port, "encryption": "NONE", "fromAddress": "outbound@example.com",
	})
	h.REST.Do(w, http.MethodPatch, "/v1/settings/email", harness.Object{"retryInterval": "1s"})
	var names []string
	for i := range appliances {
		names = append(names, applianceName(i))
	}
	h.AddAppliances(w, names...)
	w.publisher = &publisher{seed: w.plan.Seed, journal: w.published, failed: make(chan error, 1)}
	for _, name := range names {
		w.publisher.appliances = append(w.publisher.appliances, h.AddAppliance(w, name))
	}
	for _, p := range profiles() {
		h.AddRecipient(w, p.object(w.receivers.url(p.name)))
	}
}

// stores is the folder that holds the broker's data.
func (w *world) stores() string {
	if w.plan.Shape == harness.AllInOne {
		return filepath.Join(w.TempDir(), "data")
	}
	return filepath.Join(w.TempDir(), "nats", "store")
}

// storeSize is the size of the small file system in MiB.
const storeSize = 256

// mountStore puts the broker's store on a small ext4 in a file, or on a tmpfs where there is no loop device.
func (w *world) mountStore() {
	if !w.plan.Disk {
		return
	}
	at := w.stores()
	if err := os.MkdirAll(at, 0o700); err != nil {
		w.Fatalf("make the store's folder: %v", err)
	}
	image := filepath.Join(w.dir, "disk.img")
	loop := fmt.Sprintf("truncate -s %dM %q && mkfs.ext4 -q -F -m 0 %q && mount -o loop %q %q && rm -rf %q/lost+found", storeSize,
		image, image, image, at, at)
	how := "ext4 on a loop device"
	if out, err := shell(loop); err != nil {
		how = "tmpfs"
		if out2, err := shell(fmt.Sprintf("mount -t tmpfs -o size=%dM tmpfs %q", storeSize, at)); err != nil {
			w.Fatalf("mount a small file system: %s%s", out, out2)
		}
	}
	w.mount = at
	w.Logf("the store is on %s of %d MiB", how, storeSize)
	w.Cleanup(func() {
		_, _ = shell(fmt.Sprintf("umount -l %q", at))
		_ = os.Remove(image)
	})
}

func shell(command string) (string, error) {
	out, err := exec.CommandContext(context.Background(), "sh", "-c", command).CombinedOutput() //nolint:gosec // our own command
	return string(out), err
}

// probeLimit is when a probe is given up.
const probeLimit = 4 * time.Minute

// probe publishes a fresh event and returns how long it took until it was delivered over HTTP and by email, counted from a time.
func (w *world) probe(since time.Time, name string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	e := encode(event{ID: "probe-" + name, Appliance: applianceName(0), Type: ends, Even: true}, "probe "+name, nil)
	if !w.publisher.publish(ctx, e) {
		return probeLimit, errors.New("the probe was not accepted")
	}
	last := since
	for ctx.Err() == nil {
		one, two := w.receivers.succeeded(steady, e.Key()), w.sink.succeeded(mails, e.Key())
		if !one.IsZero() && !two.IsZero() {
			if one.After(last) {
				last = one
			}
			if two.After(last) {
				last = two
			}
			return last.Sub(since), nil
		}
		pause(ctx, 20*time.Millisecond)
	}
	return probeLimit, fmt.Errorf("the probe %s was accepted, and not delivered to both %s and %s", e.Key(), steady, mails)
}

// startTries is how often a process that ends instead of getting ready is started again, as a supervisor does.
const startTries = 10

// start starts a process and waits until it is ready.
func (w *world) start(name string) {
	w.supervise(name, func(t *stage) { w.system.StartPart(t, name) })
}

// startAll starts every process that does not run.
func (w *world) startAll() {
	w.supervise("a process", func(t *stage) { w.system.StartAll(t) })
}

// supervise starts processes again that end instead of getting ready, and counts that.
func (w *world) supervise(what string, start func(t *stage)) {
	for try := 1; ; try++ {
		why := w.try(start)
		if why == nil {
			return
		}
		if try == startTries {
			w.Fatalf("%s could not be started: %s", what, strings.Join(why, "; "))
		}
		w.startedAgain.add(strings.SplitN(strings.Join(why, "; "), "\n", 2)[0])
		w.Logf("%s is started again", what)
	}
}

// parts are the system's own processes, without brokers; senders of one kind are all in it.
func (w *world) parts() (out []string) {
	brokers := w.system.Brokers()
	for _, p := range w.system.Parts() {
		if !slices.Contains(brokers, p) {
			out = append(out, p)
		}
	}
	return out
}

// redisServer is a redis-server process.
type redisServer struct {
	address, dir string
	process      *harness.Process
}

func startRedis(s *stage) *redisServer {
	r := &redisServer{address: harness.FreeAddress(s), dir: s.TempDir()}
	if err := r.start(); err != nil {
		s.Fatalf("%v", err)
	}
	s.Cleanup(func() { r.process.Kill() })
	return r
}

func (r *redisServer) start() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("look for redis-server: %w", err)
	}
	_, port, _ := net.SplitHostPort(r.address)
	r.process, err = harness.Launch(harness.Command{Name: "redis", Path: path, Log: filepath.Join(r.dir, "logs-redis.log"),
		Args: []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}})
	return err
}

// do sends one command.
func (r *redisServer) do(words ...string) error {
	c, err := net.DialTimeout("tcp", r.address, receiverTimeout) //nolint:noctx // has a limit
	if err != nil {
		return fmt.Errorf("connect to redis: %w", err)
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "%s\r\n", strings.Join(words, " ")); err != nil {
		return fmt.Errorf("send %v to redis: %w", words, err)
	}
	b := make([]byte, 64)
	n, err := c.Read(b)
	if err == nil && !strings.HasPrefix(string(b[:n]), "+OK") {
		err = fmt.Errorf("redis answers %q", b[:n])
	}
	return err
}
