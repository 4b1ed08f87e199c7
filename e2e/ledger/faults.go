package ledger

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// fault is one way in which things go wrong, and what Outbound promises then.
type fault struct {
	name   string
	shapes []harness.Shape
	// needs names what must be there beside the binaries: see needed.
	needs string
	// shortest and longest bound how long it lasts. A long one lasts longer than the ack wait, and is played if Settings say so.
	shortest, longest time.Duration
	long              bool
	// duplicates is the most that it may cause. Recovery is when a fresh event must be delivered, counted from the end of the fault.
	duplicates int
	recovery   time.Duration
	// touches are the processes that it concerns; two faults that touch the same are not mixed. all: it is never mixed.
	touches []string
	// strike does the harm. It returns what it did, and how to end it; mend may be nil.
	strike func(w *world, rnd *rand.Rand) (detail string, mend func())
}

// all is what a fault touches that is never mixed.
const all = "all"

// Bounds of duplicates: what a sender has under way, and what it has not recorded.
const (
	// slots are the requests under way in one sender, whose answers it may miss.
	slots = 256
	// unrecorded is the window of a killed sender and its slots.
	unrecorded = 2000 + slots
)

// names that others refer to.
const (
	diskFull     = "disk full"
	eventsFull   = "EVENTS full"
	damagedStore = "damaged store"

	earlierVersion = "earlier version and back"
)

func shapes(s ...harness.Shape) []harness.Shape { return s }

// table is every fault. Recovery bounds are for a machine that is busy with other things.
func table() []fault {
	one, services, cluster := shapes(harness.AllInOne), shapes(harness.Services, harness.Cluster), shapes(harness.Cluster)
	single, every := shapes(harness.Services), shapes(harness.AllInOne, harness.Services, harness.Cluster)
	const s, m = time.Second, time.Minute
	return []fault{
		{name: "kill all-in-one", shapes: one, longest: 5 * s, duplicates: unrecorded, recovery: m, touches: []string{all},
			strike: killed(harness.One)},
		{name: "freeze all-in-one", shapes: one, shortest: s, longest: 8 * s, duplicates: slots, recovery: m, touches: []string{all},
			strike: frozen(harness.One)},
		{name: "freeze all-in-one beyond the ack wait", shapes: one, shortest: 50 * s, longest: 60 * s, long: true, duplicates: unrecorded,
			recovery: m, touches: []string{all}, strike: frozen(harness.One)},
		{name: "restart all-in-one", shapes: one, longest: s, recovery: m, touches: []string{all}, strike: restarted(harness.One)},

		{name: "kill http-sender", shapes: services, longest: 5 * s, duplicates: unrecorded, recovery: m, touches: []string{"http-sender"},
			strike: killed("http-sender-1", "http-sender-2")},
		{name: "kill email-sender", shapes: services, longest: 5 * s, duplicates: unrecorded, recovery: 90 * s,
			touches: []string{"email-sender"}, strike: killed("email-sender")},
		{name: "kill ingest", shapes: services, longest: 5 * s, recovery: m, touches: []string{"ingest"}, strike: killed("ingest")},
		{name: "kill config", shapes: services, longest: 10 * s, recovery: m, touches: []string{"config"}, strike: killed("config")},
		{name: "kill history", shapes: services, longest: 5 * s, recovery: m, touches: []string{"history"}, strike: killed("history")},
		{name: "kill console", shapes: services, longest: 5 * s, recovery: m, touches: []string{"console"}, strike: killed("console")},
		{name: "kill everything", shapes: services, longest: 5 * s, duplicates: 3 * unrecorded, recovery: 90 * s, touches: []string{all},
			strike: killedAll},
		{name: "freeze http-sender", shapes: services, shortest: s, longest: 8 * s, duplicates: slots, recovery: m,
			touches: []string{"http-sender"}, strike: frozen("http-sender-1", "http-sender-2")},
		{name: "freeze http-sender beyond the ack wait", shapes: services, shortest: 50 * s, longest: 60 * s, long: true,
			duplicates: unrecorded, recovery: m, touches: []string{"http-sender"}, strike: frozen("http-sender-1", "http-sender-2")},
		{name: "freeze email-sender beyond the ack wait", shapes: services, shortest: 50 * s, longest: 60 * s, long: true,
			duplicates: slots, recovery: m, touches: []string{"email-sender"}, strike: frozen("email-sender")},
		{name: "freeze ingest", shapes: services, shortest: s, longest: 10 * s, recovery: m, touches: []string{"ingest"},
			strike: frozen("ingest")},
		{name: "freeze config", shapes: services, shortest: s, longest: 10 * s, recovery: m, touches: []string{"config"},
			strike: frozen("config")},
		{name: "freeze history", shapes: services, shortest: s, longest: 10 * s, recovery: m, touches: []string{"history"},
			strike: frozen("history")},
		{name: "rolling restart of services", shapes: services, longest: s, recovery: m, touches: []string{all}, strike: rolling},
		{name: "config restarts, and changes between", shapes: services, longest: s, recovery: m, touches: []string{"config"},
			strike: watchesLost},

		{name: "kill nats-server", shapes: single, longest: 10 * s, duplicates: 3 * unrecorded, recovery: 90 * s, touches: []string{all},
			strike: killed("nats")},
		{name: "freeze nats-server", shapes: single, shortest: s, longest: 8 * s, duplicates: unrecorded, recovery: 90 * s,
			touches: []string{all}, strike: frozen("nats")},
		{name: "freeze nats-server beyond the ack wait", shapes: single, shortest: 50 * s, longest: 60 * s, long: true,
			duplicates: 3 * unrecorded, recovery: 90 * s, touches: []string{all}, strike: frozen("nats")},
		{name: "restart nats-server", shapes: single, longest: s, duplicates: unrecorded, recovery: 90 * s, touches: []string{all},
			strike: restarted("nats")},
		{name: "kill the leader of EVENTS", shapes: cluster, shortest: s, longest: 10 * s, duplicates: 3 * unrecorded, recovery: 90 * s,
			touches: []string{all}, strike: killedLeader},
		{name: "rolling restart of nats-servers", shapes: cluster, shortest: s, longest: 2 * s, duplicates: unrecorded, recovery: 90 * s,
			touches: []string{all}, strike: rollingBrokers},
		{name: "two of three nats-servers away", shapes: cluster, shortest: 5 * s, longest: 15 * s, duplicates: 3 * unrecorded,
			recovery: 2 * m, touches: []string{all}, strike: twoAway},
		{name: "freeze one nats-server", shapes: cluster, shortest: s, longest: 10 * s, duplicates: unrecorded, recovery: 90 * s,
			touches: []string{all}, strike: frozen("nats-1", "nats-2", "nats-3")},

		{name: "link slow", shapes: services, shortest: 3 * s, longest: 10 * s, duplicates: slots, recovery: m, touches: []string{"link"},
			strike: linked(linkSlow)},
		{name: "link cut", shapes: services, shortest: 2 * s, longest: 10 * s, duplicates: unrecorded, recovery: m,
			touches: []string{"link"}, strike: linked(linkCut)},
		{name: "link silent", shapes: services, shortest: 3 * s, longest: 15 * s, duplicates: unrecorded, recovery: 90 * s,
			touches: []string{"link"}, strike: linked(linkSilent)},

		{name: "network slow", shapes: every, needs: needNamespace, shortest: 3 * s, longest: 10 * s, duplicates: slots, recovery: m,
			touches: []string{all}, strike: networkSlow},
		{name: "network away", shapes: every, needs: needNamespace, shortest: 2 * s, longest: 10 * s, duplicates: unrecorded,
			recovery: 90 * s, touches: []string{all}, strike: networkAway},

		{name: "redis killed", shapes: services, needs: needRedis, longest: 5 * s, recovery: m, touches: []string{"redis"},
			strike: redisKilled},
		{name: "redis flushed", shapes: services, needs: needRedis, recovery: m, touches: []string{"redis"}, strike: redisFlushed},
		{name: "redis full", shapes: services, needs: needRedis, shortest: s, longest: 5 * s, recovery: m, touches: []string{"redis"},
			strike: redisFull},
		{name: "redis silent", shapes: services, needs: needRedis, shortest: s, longest: 8 * s, recovery: m, touches: []string{"redis"},
			strike: redisSilent},

		{name: diskFull, shapes: shapes(harness.AllInOne, harness.Services), needs: needRoot, shortest: 3 * s, longest: 8 * s,
			duplicates: unrecorded, recovery: 90 * s, touches: []string{all}, strike: diskFilled},
		{name: "clock two hours ahead", shapes: services, needs: needSkew, shortest: 5 * s, longest: 15 * s, recovery: m,
			touches: []string{all}, strike: skewed("2h")},
		{name: "clock two hours behind", shapes: services, needs: needSkew, shortest: 5 * s, longest: 15 * s, recovery: m,
			touches: []string{all}, strike: skewed("-2h")},
		{name: earlierVersion, shapes: every, needs: needFrom, shortest: 5 * s, longest: 15 * s, recovery: 90 * s,
			touches: []string{all}, strike: downgraded},
		{name: eventsFull, shapes: single, shortest: 8 * s, longest: 12 * s, duplicates: 3 * slots, recovery: 3 * m,
			touches: []string{all}, strike: streamFilled},
		{name: damagedStore, shapes: one, duplicates: slots, recovery: m, touches: []string{all}, strike: storeDamaged},
	}
}

// linkFaults are those that need proxies between the processes.
func linkFaults() []string { return []string{"link slow", "link cut", "link silent"} }

// What faults need.
const (
	needRedis     = "redis-server"
	needRoot      = "root, to mount a small file system"
	needNamespace = "a network namespace: root, ip and tc"
	needSkew      = "binaries built with -tags clockskew"
	needFrom      = "FROM=<git ref>"
)

// missing says whether what a fault needs is not there.
func (f fault) missing(s Settings) bool {
	switch f.needs {
	case needRedis:
		_, err := exec.LookPath("redis-server")
		return err != nil
	case needRoot:
		return os.Getuid() != 0
	case needNamespace:
		return !isolated()
	case needSkew:
		return s.ClockSkew == ""
	case needFrom:
		return s.From == ""
	default:
		return false
	}
}

// hold is how long the fault lasts this time.
func (f fault) hold(rnd *rand.Rand) time.Duration {
	if f.longest <= f.shortest {
		return f.shortest
	}
	return f.shortest + time.Duration(rnd.Int64N(int64(f.longest-f.shortest)))
}

// mixes reports whether two faults may be played at once.
func (f fault) mixes(g fault) bool {
	return !slices.Contains(f.touches, all) && !slices.Contains(g.touches, all) &&
		!slices.ContainsFunc(f.touches, func(t string) bool { return slices.Contains(g.touches, t) })
}

// find returns the fault of a name.
func find(name string) (fault, error) {
	var names []string
	for _, f := range table() {
		if f.name == name {
			return f, nil
		}
		names = append(names, f.name)
	}
	return fault{}, fmt.Errorf("there is no fault %q; there are: %s", name, strings.Join(names, ", "))
}
