package quota_test

import (
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/rpc/quota"
	"github.com/outbound-events/outbound/pkg/secret"
)

const tokenWait = 500 * time.Millisecond

func never() bool { return true }

func TestATokenThatWasJustMadeIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		known := start.Add(200 * time.Millisecond)
		quota.AwaitTokens().Await(t.Context(), secret.NewToken(), func() bool { return time.Now().Before(known) })
		if took := time.Since(start); took < 200*time.Millisecond || took > 220*time.Millisecond {
			t.Errorf("waited %s; want 200 ms, when it became known", took)
		}
	})
}

func TestAnUnknownTokenIsAwaitedOnceAndNotForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, token := quota.AwaitTokens(), secret.NewToken()
		waited := func(token string) time.Duration {
			start := time.Now()
			w.Await(t.Context(), token, never)
			return time.Since(start)
		}
		if first, second := waited(token), waited(token); first != tokenWait || second != 0 {
			t.Errorf("waited %s, then %s; want %s once", first, second, tokenWait)
		}
		if guess := waited("a-guess"); guess != 0 {
			t.Errorf("waited %s for what is no token of Outbound; want no wait", guess)
		}
		time.Sleep(time.Minute)
		if later := waited(token); later != tokenWait {
			t.Errorf("waited %s a minute later; want %s", later, tokenWait)
		}
	})
}

func TestAFloodOfUnknownTokensWaitsForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := quota.AwaitTokens()
		var looked, waited, refused atomic.Int64
		const calls = 3000
		for i := range calls {
			go func() {
				start := time.Now()
				w.Await(t.Context(), secret.TokenPrefix+strconv.Itoa(i), func() bool { looked.Add(1); return true })
				if time.Since(start) == 0 {
					refused.Add(1)
				} else {
					waited.Add(1)
				}
			}()
		}
		time.Sleep(2 * tokenWait)
		synctest.Wait()
		if waited.Load() != 32 || refused.Load() != calls-32 {
			t.Errorf("%d waited and %d did not; want 32 and %d", waited.Load(), refused.Load(), calls-32)
		}
		if most := int64(32 * 30); looked.Load() > most {
			t.Errorf("looked %d times; want %d at most", looked.Load(), most)
		}
	})
}
