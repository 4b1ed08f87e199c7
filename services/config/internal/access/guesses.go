package access

import (
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/rpc"
)

// How a user's wrong guesses of a password are slowed down: freeGuesses may follow each other, then each one doubles the wait before the
// next, from firstWait to longestWait. The count ends when twice the wait and forgetGuesses have passed.
const (
	freeGuesses   = 5
	firstWait     = time.Second
	longestWait   = 15 * time.Minute
	forgetGuesses = 10 * time.Minute
)

// guesses counts the wrong passwords in a row, by user.
type guesses struct {
	mu sync.Mutex
	of map[string]guess
}

type guess struct {
	wrong int
	next  time.Time
}

func newGuesses() *guesses { return &guesses{of: map[string]guess{}} }

// begin counts a guess as wrong until right says otherwise, so that many at once are no way around the wait. It refuses one that comes too
// early, whether it is right or not.
func (g *guesses) begin(name string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.of[name]
	if left := x.next.Sub(now); left > 0 {
		text := fmt.Sprintf("too many wrong passwords: try again in %s", (left + time.Second - 1).Truncate(time.Second))
		return rpc.Limited("TOO_MANY_GUESSES", text, left)
	}
	if now.Sub(x.next) > wait(x.wrong)+forgetGuesses {
		x.wrong = 0
	}
	x.wrong++
	x.next = now.Add(wait(x.wrong))
	g.of[name] = x
	return nil
}

// right ends the count of a user.
func (g *guesses) right(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.of, name)
}

// wait is the pause after so many wrong guesses in a row.
func wait(wrong int) time.Duration {
	if wrong < freeGuesses {
		return 0
	}
	return min(longestWait, firstWait<<min(wrong-freeGuesses, 20))
}
