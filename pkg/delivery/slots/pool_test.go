package slots_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/slots"
)

// line is a pool in which attempts begin and end one at a time.
type line struct {
	t    *testing.T
	pool *slots.Pool
	// underWay are the recipients of the attempts that have a slot, in the order in which they began.
	underWay []*slots.Share
	began    chan *slots.Share
}

func newLine(t *testing.T, total int) *line {
	return &line{t: t, pool: slots.New(total), began: make(chan *slots.Share, 100_000)}
}

// ask has a recipient ask for n slots, and returns how many attempts began by that.
func (l *line) ask(s *slots.Share, n int) int {
	for range n {
		go func() {
			if l.pool.Acquire(s, time.Hour, nil) {
				l.began <- s
			}
		}()
		synctest.Wait()
	}
	return l.look()
}

// look takes in what began.
func (l *line) look() (n int) {
	synctest.Wait()
	for ; len(l.began) > 0; n++ {
		l.underWay = append(l.underWay, <-l.began)
	}
	return n
}

// end has the oldest attempt end, and returns its recipient.
func (l *line) end() *slots.Share {
	s := l.underWay[0]
	l.underWay = l.underWay[1:]
	l.pool.Release(s)
	l.look()
	return s
}

func (l *line) has(s *slots.Share) (n int) {
	for _, x := range l.underWay {
		if x == s {
			n++
		}
	}
	return n
}

// TestARecipientWithoutABacklogIsNextButForThoseThatHaveNone has 300 recipients drain backlogs through 256 slots, each with four attempts
// that wait, and another recipient begin one now and then. It waits for no more attempts than there are recipients without a slot.
func TestARecipientWithoutABacklogIsNextButForThoseThatHaveNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const draining, total = 300, 256
		l := newLine(t, total)
		all := make([]*slots.Share, draining)
		got := map[*slots.Share]int{}
		for i := range all {
			all[i] = &slots.Share{}
			l.ask(all[i], 4)
		}
		if len(l.underWay) != total {
			t.Fatalf("%d attempts are under way: want %d", len(l.underWay), total)
		}
		for range draining { // each has had its first one then
			l.ask(l.end(), 1)
		}
		well, steps := &slots.Share{}, 0
		for range 20 {
			for range 97 {
				s := l.end()
				got[s]++
				l.ask(s, 1)
			}
			waited := 0
			for l.ask(well, 1); l.has(well) == 0; waited++ {
				s := l.end()
				got[s]++
				l.ask(s, 1)
			}
			steps = max(steps, waited)
			for l.has(well) > 0 {
				if s := l.end(); s != well {
					got[s]++
					l.ask(s, 1)
				}
			}
		}
		t.Logf("it waited for the end of %d attempts at most", steps)
		if steps > draining-total+1 {
			t.Errorf("it waited for the end of %d attempts: want at most %d", steps, draining-total+1)
		}
		least, most := got[all[0]], got[all[0]]
		for _, s := range all {
			least, most = min(least, got[s]), max(most, got[s])
		}
		if least == 0 || most-least > 6 {
			t.Errorf("the draining recipients had from %d to %d attempts", least, most)
		}
		l.drain()
	})
}

// drain has everything end.
func (l *line) drain() {
	for len(l.underWay) > 0 {
		l.end()
	}
}

// TestRecipientsThatHangLeaveSlots has as many recipients hang as there are slots in reserve, each with more attempts than it may have.
func TestRecipientsThatHangLeaveSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 256)
		for range 256/8 - 1 {
			if l.ask(&slots.Share{}, 64) == 0 {
				t.Fatal("a recipient without a slot gets none")
			}
		}
		if n := l.ask(&slots.Share{}, 1); n != 1 {
			t.Errorf("%d of 256 slots hang, and another recipient gets none", len(l.underWay))
		}
		l.drain()
	})
}

// TestWhoIsAloneGetsAllButTheReserve has recipients use what others leave.
func TestWhoIsAloneGetsAllButTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 64)
		one, other := &slots.Share{}, &slots.Share{}
		if n := l.ask(one, 64); n != 56 {
			t.Errorf("it gets %d of 64 slots: want 56", n)
		}
		if n := l.ask(other, 56); n != 1 {
			t.Errorf("the other one gets %d slots at once: want 1", n)
		}
		if limit := l.pool.Limit(); limit != 64 {
			t.Errorf("two recipients of which both wait may have %d messages in hand: want 64", limit)
		}
		for range 57 {
			l.end()
		}
		if a, b := l.has(one), l.has(other); a > b {
			t.Errorf("they have %d and %d slots once all attempts of before have ended", a, b)
		}
		l.drain()
		if limit := l.pool.Limit(); limit != 64 {
			t.Errorf("with nobody waiting %d messages may be in hand: want 64", limit)
		}
	})
}

// TestAnAttemptThatIsNotMadeTakesNoSlot ends waits by time and by a stop.
func TestAnAttemptThatIsNotMadeTakesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := slots.New(1)
		one, other := &slots.Share{}, &slots.Share{}
		if !p.Acquire(one, time.Second, nil) {
			t.Fatal("a free slot is not given")
		}
		stop := make(chan struct{})
		if p.Acquire(other, 5*time.Second, stop) {
			t.Error("there is a second one")
		}
		time.AfterFunc(time.Second, func() { close(stop) })
		if p.Acquire(other, time.Hour, stop) {
			t.Error("there is a second one")
		}
		p.Release(one)
		if !p.Acquire(other, time.Second, nil) {
			t.Error("the slot is lost")
		}
		p.Release(other)
	})
}

// TestInHandIsBoundByTheLowerLimit changes both limits.
func TestInHandIsBoundByTheLowerLimit(t *testing.T) {
	limit := 100
	h := slots.NewInHand(16, func() int { return limit })
	if n := h.Take(20); n != 16 {
		t.Errorf("%d are taken: want 16", n)
	}
	for range 12 {
		h.GiveBack()
	}
	limit = 6
	if n := h.Take(20); n != 2 {
		t.Errorf("%d are taken beside 4: want 2", n)
	}
	h.Force()
	limit = 100
	h.Resize(8)
	if n := h.Take(20); n != 1 || h.Width() != 8 {
		t.Errorf("%d of %d are taken beside 7: want 1 of 8", n, h.Width())
	}
	select {
	case <-h.Freed():
	default:
		t.Error("nothing is told")
	}
}
