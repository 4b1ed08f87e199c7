package pushback_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/pushback"
)

// drain plays a receiver that takes what is sent at once, for some time, and returns how many requests it took in each second.
func drain(g *pushback.Gate, now time.Time, seconds int) (each []int) {
	const step = 10 * time.Millisecond
	for range seconds {
		n := 0
		for range int(time.Second / step) {
			taken, _ := g.Take(16, now)
			for range taken {
				g.Ended(true, now, now)
			}
			n += taken
			now = now.Add(step)
		}
		each = append(each, n)
	}
	return each
}

func TestRateRecoversSlowlyAfterAPause(t *testing.T) {
	var g pushback.Gate
	now := time.Unix(1_000_000, 0)
	if n, _ := g.Take(16, now); n != 16 {
		t.Fatalf("an open gate lets %d of 16 through", n)
	}
	if !g.Pause(time.Minute, now) {
		t.Error("nobody is told of a new pause")
	}
	for _, after := range []time.Duration{0, time.Second, time.Minute - 1} {
		if n, wait := g.Take(16, now.Add(after)); n != 0 || wait <= 0 {
			t.Errorf("%s after the pause began %d may start, wait %s", after, n, wait)
		}
	}
	now = now.Add(time.Minute + 2*time.Second)
	if n, _ := g.Take(16, now); n != 1 {
		t.Fatalf("%d requests start after the pause, want 1", n)
	}
	if n, wait := g.Take(16, now.Add(time.Minute)); n != 0 || wait <= 0 {
		t.Errorf("%d more start before the first has ended, wait %s", n, wait)
	}
	if !g.Ended(true, now, now) {
		t.Error("the first success is not told")
	}
	each := drain(&g, now, 30)
	for i, most := range []int{2, 2, 3, 3, 5, 5, 9, 9} {
		if each[i] > most || each[i] < min(i, 1) {
			t.Errorf("second %d takes %d requests, want %d at most: %v", i, each[i], most, each)
		}
	}
	if last := each[len(each)-1]; last < 1_000 {
		t.Errorf("the rate has not recovered: %v", each)
	}
}

func TestPauseEndsEarlyByASuccessThatBeganWithinIt(t *testing.T) {
	var g pushback.Gate
	now := time.Unix(1_000_000, 0)
	g.Pause(time.Minute, now)
	later := now.Add(time.Second)
	if g.Ended(true, now.Add(-time.Second), later) || g.Rest(later) == 0 {
		t.Error("what was in flight ends the pause")
	}
	if g.Ended(false, later, later) || g.Rest(later) == 0 {
		t.Error("a failure ends the pause")
	}
	if !g.Ended(true, later, later) || g.Rest(later) != 0 {
		t.Error("a success does not end the pause")
	}
	if n, _ := g.Take(16, later); n != 1 {
		t.Errorf("%d requests start after it", n)
	}
}

func TestLongestPauseCounts(t *testing.T) {
	var g pushback.Gate
	now := time.Unix(1_000_000, 0)
	g.Pause(time.Minute, now)
	if g.Pause(time.Second, now) || g.Rest(now) < time.Minute {
		t.Error("a shorter pause replaces a longer one")
	}
	if g.Pause(time.Minute, now.Add(time.Second/2)) {
		t.Error("others are told of half a second")
	}
	if !g.Pause(2*time.Minute, now) || g.Rest(now) < 2*time.Minute {
		t.Error("a longer pause does not count")
	}
	if !g.Lift(now) || g.Rest(now) != 0 || g.Lift(now) {
		t.Error("a pause can't be lifted once")
	}
}

func TestRequestsThatDoNotStartAreGivenBack(t *testing.T) {
	var g pushback.Gate
	now := time.Unix(1_000_000, 0)
	g.Pause(time.Second, now)
	now = now.Add(2 * time.Second)
	for range 3 {
		if n, _ := g.Take(16, now); n != 1 {
			t.Fatalf("%d requests start", n)
		}
		g.GiveBack(1)
	}
	g.Take(1, now)
	g.Ended(false, now, now)
	if n, _ := g.Take(16, now); n != 0 {
		t.Error("a failure lets another through at once")
	}
	if n, _ := g.Take(16, now.Add(time.Second)); n != 1 {
		t.Error("a failure holds the next back for more than a second")
	}
}
