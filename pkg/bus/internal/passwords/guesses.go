package passwords

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often passwords are tried that are not known to be right: guessesBurst at once, and one for each processor, then one in
// guessesEvery, of one appliance from one address. Who knows the password from another address is not kept out by them.
const (
	guessesBurst  = 10
	guessesEvery  = time.Second
	guessesForget = 10 * time.Minute
	// guessesMost bounds how many addresses are counted; beyond it all counts are begun anew.
	guessesMost = 10_000
)

// guesses counts the passwords that were tried.
type guesses struct {
	burst int

	mu  sync.Mutex
	of  map[[2]string]*guess
	due time.Time
}

type guess struct {
	limit *rate.Limiter
	last  time.Time
}

func newGuesses(burst int) *guesses { return &guesses{burst: burst, of: map[[2]string]*guess{}} }

// allow reports whether a password may be tried.
func (g *guesses) allow(address, id string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.After(g.due) || len(g.of) > guessesMost {
		g.due = now.Add(guessesForget)
		for key, x := range g.of {
			if now.Sub(x.last) > guessesForget || len(g.of) > guessesMost {
				delete(g.of, key)
			}
		}
	}
	key := [2]string{address, id}
	x := g.of[key]
	if x == nil {
		x = &guess{limit: rate.NewLimiter(rate.Every(guessesEvery), g.burst)}
		g.of[key] = x
	}
	x.last = now
	return x.limit.AllowN(now, 1)
}

// right forgets the guesses before a password that was right.
func (g *guesses) right(address, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.of, [2]string{address, id})
}
