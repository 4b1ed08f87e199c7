package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"

	"github.com/outbound-events/outbound/e2e/harness"
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
	leader := w.system.AwaitLeader(w, "EVENTS")
	w.system.Kill(w, leader)
	return "kill -9 of " + leader, func() { w.start(leader) }
}

// rollingBrokers restarts the nats-servers one after the other, as an upgrade does: each once the one before is healthy.
func rollingBrokers(w *world, rnd *rand.Rand) (string, func()) {
	names := w.system.Brokers()
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		w.stop(name)
		w.start(name)
		w.system.AwaitBroker(w, name)
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
