package quota

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/secret"
)

const (
	// tokenWait is how long a token that nobody knows is looked for: the service that made it tells the others within milliseconds.
	tokenWait = 500 * time.Millisecond
	// tokenLook is how often it is looked for meanwhile.
	tokenLook = 20 * time.Millisecond
	// tokenForget is when a token that was looked for in vain is looked for again.
	tokenForget = 30 * time.Second
	// tokensLooked bounds what is remembered, and tokensAwaited who waits at a time. Beyond them an unknown token is refused at once.
	tokensLooked, tokensAwaited = 1024, 32
)

// NewTokens gives a token which was just made the time to become known: who creates a token may use it at once, at every service.
type NewTokens struct {
	seats chan struct{}

	mu     sync.Mutex
	looked map[[sha256.Size]byte]time.Time
}

// AwaitTokens makes a NewTokens. Each token is looked for once in 30 s and for 500 ms at most, and 32 at a time.
func AwaitTokens() *NewTokens {
	return &NewTokens{seats: make(chan struct{}, tokensAwaited), looked: map[[sha256.Size]byte]time.Time{}}
}

// Await asks unknown again and again until it says false, and returns then. It returns early for a token that it does not look for, or not
// any longer.
func (a *NewTokens) Await(ctx context.Context, token string, unknown func() bool) {
	if !strings.HasPrefix(token, secret.TokenPrefix) || !a.first(token) {
		return
	}
	select {
	case a.seats <- struct{}{}:
		defer func() { <-a.seats }()
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tokenWait)
	defer cancel()
	for unknown() {
		if !pause.For(ctx, tokenLook) {
			return
		}
	}
}

// first reports whether a token was not looked for in vain a short time ago.
func (a *NewTokens) first(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, sum := time.Now(), sha256.Sum256([]byte(token))
	if at, ok := a.looked[sum]; ok && now.Sub(at) < tokenForget {
		return false
	}
	if len(a.looked) >= tokensLooked {
		for old, at := range a.looked {
			if now.Sub(at) >= tokenForget {
				delete(a.looked, old)
			}
		}
	}
	if len(a.looked) >= tokensLooked {
		return false
	}
	a.looked[sum] = now
	return true
}
