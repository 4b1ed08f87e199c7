package ledger

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// Settings are what a run is asked to do.
type Settings struct {
	// Seed decides everything that the machine does not.
	Seed uint64
	// Length is how long events are published, over all rounds. Draining comes on top.
	Length time.Duration
	// Rate is events per second. A round slows down to keep its records below the log's limit.
	Rate int
	// Shapes are those to run in; empty: all.
	Shapes []harness.Shape
	// Only are the faults to choose from, by name; empty: all whose needs are met.
	Only []string
	// From is a folder with the binaries of an earlier version, for the fault upgrade; empty: that fault is left out.
	From string
	// ClockSkew is a folder with binaries that honour OUTBOUND_TEST_CLOCK_OFFSET; empty: faults of the clock are left out.
	ClockSkew string
	// Dir is where journals, logs and reports go.
	Dir string
	// Log gets progress, a line each.
	Log io.Writer
	// LongFaults allows faults longer than the ack wait of 45 s.
	LongFaults bool
	// Limit is how many faults a round has at most; 0: as many as its time allows.
	Limit int
	// Untimed says that the machine may be too busy to hold times of recovery to account. They are told all the same.
	Untimed bool
}

// roundLength is the longest round. A log that keeps 500,000 records has room for it at the usual rate.
const roundLength = 4 * time.Minute

// round is one system in one shape, with the faults that it meets.
type roundPlan struct {
	Number int           `json:"number"`
	Shape  harness.Shape `json:"shape"`
	Length time.Duration `json:"length"`
	Rate   int           `json:"rate"`
	Seed   uint64        `json:"seed"`
	Steps  []step        `json:"steps"`
	// Disk says that the broker's store is on a small file system, which faults can fill.
	Disk bool `json:"disk"`
	// Untimed says that times of recovery are told, not judged.
	Untimed bool `json:"untimed,omitempty"`
}

// step is one or two faults that happen at once.
type step struct {
	// After is the calm before it.
	After time.Duration `json:"after"`
	// Faults by name.
	Faults []string `json:"faults"`
	// Hold is how long it lasts.
	Hold time.Duration `json:"hold"`
	// Seed decides what the fault leaves open, e.g. which of several processes.
	Seed uint64 `json:"seed"`
}

// stream is one sequence of random numbers of a seed. Those of different names do not depend on each other.
func stream(seed uint64, name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = io.WriteString(h, name)
	return rand.New(rand.NewPCG(seed, h.Sum64())) //nolint:gosec // a seed repeats it
}

// chance is a number in [0, 1) that depends on the seed and the words alone.
func chance(seed uint64, words ...string) float64 {
	return stream(seed, fmt.Sprint(words)).Float64()
}

// plan decides the rounds and their faults.
func plan(s Settings, available func(f fault, shape harness.Shape) bool) []roundPlan {
	rnd := stream(s.Seed, "plan")
	shapes := s.Shapes
	if len(shapes) == 0 {
		shapes = []harness.Shape{harness.AllInOne, harness.Services, harness.Cluster}
	}
	rounds := max(int((s.Length+roundLength-1)/roundLength), min(len(shapes), int(s.Length/time.Minute)), 1)
	length := s.Length / time.Duration(rounds)
	var out []roundPlan
	decks := map[harness.Shape][]fault{}
	for i := range rounds {
		shape := shapes[i%len(shapes)]
		r := roundPlan{Number: i + 1, Shape: shape, Length: length, Rate: s.Rate, Seed: rnd.Uint64(), Untimed: s.Untimed}
		var all []fault
		for _, f := range table() {
			if chosen(s, f) && slices.Contains(f.shapes, shape) && available(f, shape) {
				all = append(all, f)
			}
		}
		r.Steps, decks[shape] = steps(rnd, all, decks[shape], length, s)
		for _, x := range r.Steps {
			r.Disk = r.Disk || slices.Contains(x.Faults, diskFull)
		}
		out = append(out, r)
	}
	return out
}

func chosen(s Settings, f fault) bool {
	if len(s.Only) > 0 {
		return slices.Contains(s.Only, f.name)
	}
	return s.LongFaults || !f.long
}

// calm is the mean time between two faults, in a short round a tenth of it; overhead what a fault takes beside its hold: starting, and
// the probe.
const (
	calm     = 5 * time.Second
	overhead = 4 * time.Second
)

// steps deals faults until the time is over: each once in a random order, then again from the start. The deck that is left goes on
// in the next round of that shape. Every fourth step mixes two.
func steps(rnd *rand.Rand, all, deck []fault, length time.Duration, s Settings) (out []step, rest []fault) {
	draw := func() fault {
		if len(deck) == 0 {
			deck = slices.Clone(all)
			rnd.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		f := deck[0]
		deck = deck[1:]
		return f
	}
	if len(all) == 0 {
		return nil, nil
	}
	mean := min(calm, length/10)
	for spent := time.Duration(0); ; {
		first := draw()
		x := step{After: mean/2 + time.Duration(rnd.Int64N(int64(mean))), Faults: []string{first.name}, Seed: rnd.Uint64(),
			Hold: first.hold(rnd)}
		if len(out)%4 == 3 && len(deck) > 0 && first.mixes(deck[0]) {
			second := draw()
			x.Faults = append(x.Faults, second.name)
			x.Hold = max(x.Hold, second.hold(rnd))
		}
		spent += x.After + x.Hold + overhead
		if len(out) > 0 && (spent > length || s.Limit > 0 && len(out) == s.Limit) {
			return out, append([]fault{first}, deck...)
		}
		out = append(out, x)
	}
}
