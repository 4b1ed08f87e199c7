package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// signal stops a process, or has it go on.
func signal(pid int, stop bool) error {
	s := syscall.SIGCONT
	if stop {
		s = syscall.SIGSTOP
	}
	return syscall.Kill(pid, s)
}

// killedLeader kills the nats-server that leads the stream EVENTS.
func killedLeader(w *world, _ *rand.Rand) (string, func()) {
	var leader string
	waittest.NoError(w, "EVENTS to have a leader", func() (err error) {
		leader, err = w.leader()
		return err
	})
	w.system.Kill(w, leader)
	return "kill -9 of " + leader, func() { w.start(leader) }
}

// leader asks the brokers who leads EVENTS.
func (w *world) leader() (string, error) {
	var last error
	for _, b := range w.system.Brokers() {
		var state struct {
			Accounts []struct {
				Streams []struct {
					Name    string `json:"name"`
					Cluster struct {
						Leader string `json:"leader"`
					} `json:"cluster"`
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if last = monitor(w.system, b, "/jsz?streams=true", &state); last != nil {
			continue
		}
		for _, a := range state.Accounts {
			for _, s := range a.Streams {
				if s.Name == "EVENTS" && s.Cluster.Leader != "" {
					return s.Cluster.Leader, nil
				}
			}
		}
	}
	return "", errors.Join(errors.New("no nats-server names a leader of EVENTS"), last)
}

// monitor asks the monitoring port of a broker.
func monitor(h *harness.System, broker, path string, into any) error {
	r, err := http.Get("http://" + h.Monitor(broker) + path) //nolint:noctx // on loopback
	if err != nil {
		return fmt.Errorf("ask %s: %w", broker, err)
	}
	defer func() { _ = r.Body.Close() }()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s for %s: it answers %d", broker, path, r.StatusCode)
	}
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return fmt.Errorf("read what %s answers: %w", broker, err)
	}
	return nil
}

// healthy waits until a broker says that its streams and consumers are current.
func (w *world) healthy(broker string) {
	waittest.NoError(w, broker+" to be healthy", func() error {
		var state struct {
			Status string `json:"status"`
		}
		return monitor(w.system, broker, "/healthz", &state)
	})
}

// rollingBrokers restarts the nats-servers one after the other, as an upgrade does: each once the one before is healthy.
func rollingBrokers(w *world, rnd *rand.Rand) (string, func()) {
	names := w.system.Brokers()
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		w.stop(name)
		w.start(name)
		w.healthy(name)
	}
	return fmt.Sprintf("SIGTERM and start of %v", names), nil
}

// twoAway kills two of three nats-servers.
func twoAway(w *world, rnd *rand.Rand) (string, func()) {
	names := w.system.Brokers()
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:2] {
		w.system.Kill(w, name)
	}
	return fmt.Sprintf("kill -9 of %v", names[:2]), func() { w.startAll() }
}

// eventsSize is what EVENTS holds in a round in which it becomes full, in bytes.
const eventsSize = 16 << 20

// streamFilled freezes all senders and publishes large events until EVENTS refuses more. The publisher repeats what was refused until there
// is room again.
func streamFilled(w *world, rnd *rand.Rand) (string, func()) {
	var senders []string
	for _, name := range w.parts() {
		if strings.HasSuffix(name, "-sender") || strings.HasPrefix(name, "http-sender") {
			senders = append(senders, name)
			w.system.Freeze(w, name)
		}
	}
	const n = 2 * eventsSize / (largest / 2)
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	var burst sync.WaitGroup
	refused, id := w.publisher.repeats.Load(), rnd.Uint32()
	for k := range 8 {
		burst.Go(func() {
			for i := k; i < n; i += 8 {
				e := event{ID: fmt.Sprintf("full-%08x-%d", id, i), Appliance: applianceName(i % appliances), Type: joins, Post: i%2 == 0}
				w.publisher.publish(ctx, encode(e, fmt.Sprint("full ", id, i), harness.Object{"filler": strings.Repeat("x", largest/2)}))
			}
		})
	}
	return fmt.Sprintf("%d MiB for an EVENTS of %d MiB, with the senders frozen", n*(largest/2)>>20, eventsSize>>20), func() {
		w.Logf("%d tries had no success while EVENTS was full", w.publisher.repeats.Load()-refused)
		for _, name := range senders {
			w.system.Thaw(w, name)
		}
		burst.Wait()
		cancel()
	}
}
