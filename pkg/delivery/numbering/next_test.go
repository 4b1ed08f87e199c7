package numbering_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery/numbering"
)

// next asks a counter for the next delivery, and has it read what it needs from a sequence on that EVENTS begins with.
func next(t *testing.T, c *numbering.Counter, s stream, id string, after, begins uint64) (sequence, number uint64) {
	t.Helper()
	sequence, number, answer := c.Next(id, after, begins)
	if answer == numbering.Below {
		lower(c, s, begins)
		sequence, number, answer = c.Next(id, after, begins)
	}
	if answer != numbering.Known {
		t.Fatalf("answer %d for %s after %d", answer, id, after)
	}
	return sequence, number
}

// lower has a counter read all that stands in front of what it remembers.
func lower(c *numbering.Counter, s stream, begins uint64) {
	if l := c.Lower(begins); l != nil {
		s.feed(l, begins, l.End()-1)
		l.Close(true)
	}
}

func TestNextWalksAllNumbersInOrder(t *testing.T) {
	t.Parallel()
	walked := 0
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 13))
		s := random(r, 40+r.IntN(1500))
		begin := uint64(r.IntN(len(s)) + 1)
		first := numbering.NewCounter("http", numbering.Checkpoint{})
		s.feed(first, 1, begin)
		second := numbering.NewCounter("http", roundTrip(t, first.Checkpoint()))
		s.feed(first, begin+1, uint64(len(s)))
		s.feed(second, begin+1, uint64(len(s)))
		for _, id := range []string{"r0", "r1", "r2", "r3"} {
			var want []string
			for q, n := range s.model(id) {
				if n > 0 && alive(s, id, uint64(q+1)) {
					want = append(want, fmt.Sprint(q+1, "=", n))
				}
			}
			for name, c := range map[string]*numbering.Counter{"first": first, "second": second} {
				var got []string
				for after := uint64(0); ; {
					at, n := next(t, c, s, id, after, 1)
					if at == 0 {
						break
					}
					if n <= after {
						t.Fatalf("seed %d: %d follows %d", seed, n, after)
					}
					got, after = append(got, fmt.Sprint(at, "=", n)), n
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("seed %d: the %s counter walks %v of %s, want %v", seed, name, got, id, want)
				}
				walked += len(got)
			}
		}
	}
	if walked < 10_000 {
		t.Errorf("%d numbers were walked", walked)
	}
}

func TestNextPassesOverWhatIsLost(t *testing.T) {
	t.Parallel()
	sel := numbering.NewSelection([]string{"t0"}, nil)
	change := numbering.Change{Channel: "http", Recipient: "r", Start: 1, Selection: sel}
	s := stream{{change: &change}, {subject: "a0.t0"}, {lost: true}, {lost: true}, {subject: "a0.t1"}, {subject: "a0.t0"}, {subject: "a0.t0"}}
	c := numbering.NewCounter("http", numbering.Checkpoint{})
	s.feed(c, 1, 7)
	late := numbering.NewCounter("http", c.Checkpoint())
	for _, x := range []struct {
		c                *numbering.Counter
		after, at, want  uint64
		upTo, upToNumber uint64
	}{{c, 0, 2, 1, 2, 1}, {c, 1, 6, 4, 5, 3}, {c, 4, 7, 5, 7, 5}, {c, 5, 0, 0, 100, 5}, {late, 4, 7, 5, 6, 4}, {late, 0, 6, 4, 6, 4},
		{late, 3, 6, 4, 1, 3}} {
		if at, n := next(t, x.c, s, "r", x.after, 1); at != x.at || n != x.want {
			t.Errorf("after %d: %d=%d, want %d=%d", x.after, at, n, x.at, x.want)
		}
		if n, last, answer := x.c.Last("r", x.upTo, 1); n != x.upToNumber || last != 5 || answer != numbering.Known {
			t.Errorf("up to %d: %d of %d (%d), want %d", x.upTo, n, last, answer, x.upToNumber)
		}
	}
	if at, n, answer := c.Next("nobody", 0, 1); at != 0 || n != 0 || answer != numbering.Known {
		t.Errorf("a recipient that is not there has %d=%d (%d)", at, n, answer)
	}
}

func TestTheLastNumberUpToASequence(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 17))
		s := random(r, 40+r.IntN(900))
		begin := uint64(r.IntN(len(s)) + 1)
		c := numbering.NewCounter("http", numbering.Checkpoint{})
		s.feed(c, 1, begin)
		c = numbering.NewCounter("http", roundTrip(t, c.Checkpoint()))
		s.feed(c, begin+1, uint64(len(s)))
		for _, id := range []string{"r0", "r1", "r2", "r3"} {
			last := uint64(0)
			for q, n := range s.model(id) {
				at := uint64(q + 1)
				if !alive(s, id, at) {
					continue
				}
				if n > 0 {
					last = n
				}
				got, _, answer := c.Last(id, at, 1)
				if answer == numbering.Below {
					lower(c, s, 1)
					got, _, answer = c.Last(id, at, 1)
				}
				if got != last || answer != numbering.Known {
					t.Fatalf("seed %d: %d of %s up to %d (%d), want %d", seed, got, id, at, answer, last)
				}
			}
		}
	}
}

func TestWhatEventsNoLongerHasIsPassedOver(t *testing.T) {
	t.Parallel()
	sel := numbering.NewSelection([]string{"t0"}, nil)
	s := stream{{change: &numbering.Change{Channel: "http", Recipient: "r", Start: 1, Selection: sel}}}
	for len(s) < 1000 {
		s = append(s, message{subject: "a0.t0"})
	}
	whole := numbering.NewCounter("http", numbering.Checkpoint{})
	s.feed(whole, 1, 900)
	c := numbering.NewCounter("http", whole.Checkpoint())
	s.feed(c, 901, 1000)
	if _, _, answer := c.Next("r", 0, 500); answer != numbering.Below {
		t.Fatalf("answer %d, want to read more", answer)
	}
	if at, n := next(t, c, s, "r", 0, 500); at != 500 || n != 499 {
		t.Errorf("it begins with %d=%d, want 500=499", at, n)
	}
	if n, last, answer := c.Last("r", 3, 500); n != 498 || last != 999 || answer != numbering.Known {
		t.Errorf("up to 3: %d of %d (%d), want what is in front of the first", n, last, answer)
	}
	if c.Begins() != 500 {
		t.Errorf("it remembers from %d on", c.Begins())
	}
}
