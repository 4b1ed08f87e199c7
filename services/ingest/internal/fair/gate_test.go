package fair_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/services/ingest/internal/fair"
)

func come(p *fair.Pass) bool {
	select {
	case <-p.Turn():
		return true
	default:
		return false
	}
}

func gate(o fair.Options) *fair.Gate {
	o.Bytes = 256 << 20
	if o.EventsOfOne == 0 {
		o.EventsOfOne = o.Events
	}
	return fair.New(o)
}

// An event of a sender that sends little waits for one turn of the other at most, however much of that one waits.
func TestAnEventWaitsForATurnOfEachOtherSenderAtMost(t *testing.T) {
	g := gate(fair.Options{Events: 4000, AtOnce: 1})
	var flood []*fair.Pass
	for range 2000 {
		flood = append(flood, g.Enter("flood", 1000))
	}
	calm := g.Enter("calm", 1000)
	before := 0
	for ; !come(calm); before++ {
		flood[before].Leave()
	}
	if before > 6 {
		t.Errorf("it waited for %d events of the other", before)
	}
	calm.Leave()
	for _, p := range flood[before:] {
		p.Leave()
	}
	g.Close()
}

// A sender with large events gets fewer of them through.
func TestTurnsCountBytes(t *testing.T) {
	g := gate(fair.Options{Events: 4000, AtOnce: 1})
	waiting := map[string][]*fair.Pass{}
	for range 200 {
		waiting["large"] = append(waiting["large"], g.Enter("large", 256<<10))
		waiting["small"] = append(waiting["small"], g.Enter("small", 100))
	}
	through := map[string]int{}
	for range 120 {
		for name, list := range waiting {
			if len(list) > 0 && come(list[0]) {
				through[name]++
				list[0].Leave()
				waiting[name] = list[1:]
			}
		}
	}
	if through["small"] < 3*through["large"] || through["large"] == 0 {
		t.Errorf("got through: %v", through)
	}
}

// Whoever has taken all places shuts nobody out who has none.
func TestAFullGateStillTakesTheFirstEventsOfOthers(t *testing.T) {
	g := gate(fair.Options{Events: 100, AtOnce: 1})
	var flood []*fair.Pass
	for p := g.Enter("flood", 1); p != nil; p = g.Enter("flood", 1) {
		flood = append(flood, p)
	}
	if len(flood) != 100 {
		t.Errorf("%d places", len(flood))
	}
	for range 10 {
		if p := g.Enter("calm", 1); p == nil {
			t.Fatal("an event of another sender is refused")
		}
	}
}

func TestOneSenderHasItsPlacesAndNoMore(t *testing.T) {
	g := gate(fair.Options{Events: 100, EventsOfOne: 3, AtOnce: 1})
	for i := range 4 {
		if p := g.Enter("a", 1); (p != nil) != (i < 3) {
			t.Errorf("%d: %v", i, p)
		}
	}
	if g.Enter("b", 1) == nil {
		t.Error("another sender is refused")
	}
}

func TestWhoGivesUpWaitingLeavesNothingBehind(t *testing.T) {
	g := gate(fair.Options{Events: 10, AtOnce: 1})
	first, second, third := g.Enter("a", 1), g.Enter("b", 1), g.Enter("a", 1)
	second.Leave()
	first.Yield()
	if !come(third) {
		t.Error("the third has no turn")
	}
	third.Leave()
	first.Leave()
	g.Close()
	if g.Enter("a", 1) != nil {
		t.Error("a closed gate takes an event")
	}
}

// With a store that takes 2 ms and queues what is more than 64 at once, the gate keeps that queue short; with one that takes 30 ms however
// many come, it uses more at once.
func TestTheGateFollowsTheStore(t *testing.T) {
	for name, c := range map[string]struct {
		took        func(atOnce int) time.Duration
		least, most int
	}{
		"queueing": {func(n int) time.Duration { return 2*time.Millisecond + time.Duration(max(0, n-64))*time.Millisecond }, 32, 160},
		"slow":     {func(int) time.Duration { return 30 * time.Millisecond }, 400, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := gate(fair.Options{Events: 1000})
				var storing, highest atomic.Int64
				var all sync.WaitGroup
				began := time.Now()
				for range 1000 {
					all.Go(func() {
						for time.Since(began) < 20*time.Second {
							p := g.Enter("a", 1)
							<-p.Turn()
							n := storing.Add(1)
							if time.Since(began) > 10*time.Second && n > highest.Load() {
								highest.Store(n)
							}
							time.Sleep(c.took(int(n)))
							storing.Add(-1)
							p.Leave()
						}
					})
				}
				all.Wait()
				atOnce := int(highest.Load())
				if atOnce < c.least || atOnce > c.most {
					t.Errorf("%d at once, want %d to %d", atOnce, c.least, c.most)
				}
			})
		})
	}
}

// What is stored leaves in groups, so that who sends one event at a time would wait for a whole group with each of them.
func TestTheOnlyEventOfASenderHasItsTurnAtOnce(t *testing.T) {
	g := gate(fair.Options{Events: 4000})
	turns := func(passes []*fair.Pass) (n int) {
		for _, p := range passes {
			if come(p) {
				n++
			}
		}
		return n
	}
	var flood []*fair.Pass
	for range 1000 {
		flood = append(flood, g.Enter("flood", 1000))
	}
	window := turns(flood)
	if window == 0 || window == len(flood) {
		t.Fatalf("%d of %d have their turn", window, len(flood))
	}
	first, second := g.Enter("calm", 1000), g.Enter("calm", 1000)
	if !come(first) || come(second) {
		t.Errorf("the first event has its turn: %t, the second: %t", come(first), come(second))
	}
	// However many senders there are, no more than twice as much is stored at once.
	others := []*fair.Pass{first, second}
	for i := range 1000 {
		others = append(others, g.Enter(fmt.Sprint("other-", i), 1000))
	}
	if n := turns(flood) + turns(others); n != 2*window {
		t.Errorf("%d are stored at once, want %d", n, 2*window)
	}
	for _, p := range slices.Concat(flood, others) {
		p.Leave()
	}
	g.Close()
}

// A gate that has seen nothing but a flood keeps the queue of the store short as well.
func TestAFloodFromTheStartLeavesTheStoreAShortQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate(fair.Options{Events: 4000})
		var wg sync.WaitGroup
		var atOnce, most, last atomic.Int64
		began := time.Now()
		for range 1000 {
			wg.Go(func() {
				for time.Since(began) < 10*time.Second {
					p := g.Enter("flood", 1000)
					<-p.Turn()
					n := atOnce.Add(1)
					most.Store(max(most.Load(), n))
					if time.Since(began) > 8*time.Second {
						last.Store(max(last.Load(), n))
					}
					time.Sleep(time.Millisecond + time.Duration(n)*200*time.Microsecond) // it stores 5,000 a second at most
					atOnce.Add(-1)
					p.Leave()
				}
			})
		}
		wg.Wait()
		if n := last.Load(); n > 64 {
			t.Errorf("%d are stored at once in the end, %d at most: 12 ms of waiting", n, most.Load())
		}
		g.Close()
	})
}
