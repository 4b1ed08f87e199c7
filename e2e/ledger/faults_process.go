package ledger

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// killed kills one of the processes, and starts it again in the end.
func killed(names ...string) func(*world, *rand.Rand) (string, func()) {
	return func(w *world, rnd *rand.Rand) (string, func()) {
		name := names[rnd.IntN(len(names))]
		w.system.Kill(w, name)
		return "kill -9 of " + name, func() { w.start(name) }
	}
}

// killedAll kills every process at once.
func killedAll(w *world, _ *rand.Rand) (string, func()) {
	for _, name := range w.system.Parts() {
		w.system.Kill(w, name)
	}
	return "kill -9 of all processes", func() { w.startAll() }
}

// frozen stops one of the processes, and has it go on in the end.
func frozen(names ...string) func(*world, *rand.Rand) (string, func()) {
	return func(w *world, rnd *rand.Rand) (string, func()) {
		name := names[rnd.IntN(len(names))]
		w.system.Freeze(w, name)
		return "SIGSTOP of " + name, func() { w.system.Thaw(w, name) }
	}
}

// stop ends a process as an operator does. Outbound's own must end with exit code 0.
func (w *world) stop(name string) {
	code, took, err := w.system.StopPart(w, name)
	if err != nil || code != 0 && !strings.HasPrefix(name, "nats") {
		w.Fatalf("%s ended with exit code %d after %v of SIGTERM: %v", name, code, took, err)
	}
}

// end ends a process of an earlier version: how that ends is not this one's fault.
func (w *world) end(name string) {
	if _, _, err := w.system.StopPart(w, name); err != nil {
		w.Fatalf("end %s: %v", name, err)
	}
}

// restarted ends a process with SIGTERM and starts it again in the end.
func restarted(name string) func(*world, *rand.Rand) (string, func()) {
	return func(w *world, _ *rand.Rand) (string, func()) {
		w.stop(name)
		return "SIGTERM of " + name, func() { w.start(name) }
	}
}

// rolling restarts each of Outbound's processes, one after the other.
func rolling(w *world, rnd *rand.Rand) (string, func()) {
	names := w.parts()
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		w.stop(name)
		w.start(name)
	}
	return "SIGTERM and start of " + strings.Join(names, ", "), nil
}

// watchesLost restarts the config service again and again, with a change of a recipient between: watches end, and must catch up.
func watchesLost(w *world, rnd *rand.Rand) (string, func()) {
	for range 3 {
		w.system.Kill(w, "config")
		w.start("config")
		change := harness.Object{"http": harness.Object{"maxInFlight": 4 + rnd.IntN(8)}}
		waittest.NoError(w, "a change of a recipient", func() error {
			a, err := w.system.REST.Call(http.MethodPatch, "/v1/recipients/"+steady, change)
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("it answers %d %s", a.Status, a.Body)
			}
			return err
		})
	}
	return "three times kill -9 of config, and a change of " + steady, nil
}

// skewed restarts a process with a clock that is off, and with a right one in the end.
func skewed(offset string) func(*world, *rand.Rand) (string, func()) {
	return func(w *world, rnd *rand.Rand) (string, func()) {
		names := w.parts()
		name := names[rnd.IntN(len(names))]
		var before harness.Command
		w.stop(name)
		w.system.Alter(w, name, func(c *harness.Command) {
			before = *c
			c.Path = filepath.Join(w.settings.ClockSkew, filepath.Base(c.Path))
			c.Env = append(c.Env, "OUTBOUND_TEST_CLOCK_OFFSET="+offset)
		})
		w.start(name)
		return name + " with a clock that is " + offset + " off", func() {
			w.stop(name)
			w.system.Alter(w, name, func(c *harness.Command) { *c = before })
			w.start(name)
		}
	}
}

// downgraded runs all processes in an earlier version for a while, on the same data.
func downgraded(w *world, _ *rand.Rand) (string, func()) {
	before := map[string]harness.Command{}
	change := func(end func(name string), to func(name string, c *harness.Command)) {
		for _, name := range w.parts() {
			end(name)
			w.system.Alter(w, name, func(c *harness.Command) { to(name, c) })
		}
		w.startAll()
	}
	change(w.stop, func(name string, c *harness.Command) {
		before[name] = *c
		c.Path = filepath.Join(w.settings.From, "bin", filepath.Base(c.Path))
		for i, a := range c.Args {
			if at := strings.LastIndex(a, "/deploy/options/"); at >= 0 {
				c.Args[i] = filepath.Join(w.settings.From, a[at:])
			}
		}
	})
	return "all processes in the version " + versionOf(w.settings.From), func() {
		change(w.end, func(name string, c *harness.Command) { *c = before[name] })
	}
}

// versionOf is the git ref that a folder of binaries was built from.
func versionOf(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "ref"))
	if err != nil {
		return "in " + dir
	}
	return strings.TrimSpace(string(b))
}

// linked changes one link between two processes, and mends it in the end.
func linked(m linkMode) func(*world, *rand.Rand) (string, func()) {
	return func(w *world, rnd *rand.Rand) (string, func()) {
		k := w.links[rnd.IntN(len(w.links))]
		k.set(m)
		return "the link from " + k.name, func() { k.set(linkUp) }
	}
}

// ballastStep is how much is written at once to fill a disk.
const ballastStep = 1 << 20

// diskFilled fills the file system of the store, and empties it in the end. A stock nats-server that could not write stores nothing
// until it is restarted, which is the operator's to do; the all-in-one must recover by itself.
func diskFilled(w *world, _ *rand.Rand) (string, func()) {
	at := filepath.Join(w.mount, "ballast")
	n := fill(at)
	again := func() { _ = fill(at) } // the last bytes, which others had freed
	again()
	return fmt.Sprintf("%d MiB of ballast in the store's file system", n>>20), func() {
		if err := os.Remove(at); err != nil {
			w.Fatalf("remove the ballast: %v", err)
		}
		for _, broker := range w.system.Brokers() {
			w.stop(broker)
			w.start(broker)
		}
	}
}

// fill appends to a file until the disk is full, and returns how much.
func fill(at string) (n int64) {
	f, err := os.OpenFile(at, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for size := ballastStep; size > 0; {
		k, err := f.Write(make([]byte, size))
		n += int64(k)
		if err != nil {
			size /= 2
		}
	}
	_ = f.Sync()
	return n
}

// redisKilled kills the Redis, which comes back empty.
func redisKilled(w *world, _ *rand.Rand) (string, func()) {
	w.redis.process.Kill()
	return "kill -9 of redis-server", func() {
		waittest.NoError(w, "redis-server to start", w.redis.start)
	}
}

func redisFlushed(w *world, _ *rand.Rand) (string, func()) {
	w.redisDo("FLUSHALL")
	return "FLUSHALL", nil
}

func redisFull(w *world, _ *rand.Rand) (string, func()) {
	w.redisDo("CONFIG", "SET", "maxmemory", "1")
	return "maxmemory 1", func() { w.redisDo("CONFIG", "SET", "maxmemory", "0") }
}

func redisSilent(w *world, _ *rand.Rand) (string, func()) {
	if err := signal(w.redis.process.PID(), true); err != nil {
		w.Fatalf("stop redis-server: %v", err)
	}
	return "SIGSTOP of redis-server", func() {
		if err := signal(w.redis.process.PID(), false); err != nil {
			w.Fatalf("continue redis-server: %v", err)
		}
	}
}

func (w *world) redisDo(words ...string) {
	waittest.NoError(w, "redis-server to answer", func() error { return w.redis.do(words...) })
}
