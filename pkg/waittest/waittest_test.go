package waittest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// failed is a test that writes down how it fails.
type failed struct{ why []string }

func (*failed) Helper() {}

func (f *failed) Fatalf(format string, args ...any) {
	f.why = append(f.why, fmt.Sprintf(format, args...))
}

func TestAWaitEndsWithItsFact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, began := &failed{}, time.Now()
		asked := 0
		waittest.Until(f, "an hour", func() bool { asked++; return time.Since(began) >= 4*time.Minute })
		if len(f.why) > 0 || time.Since(began) > 4*time.Minute+250*time.Millisecond {
			t.Errorf("after %s it failed with %q", time.Since(began), f.why)
		}
		if asked < 100 || asked > 1500 {
			t.Errorf("it was asked %d times in four minutes", asked)
		}
		ch := make(chan int, 1)
		time.AfterFunc(time.Minute, func() { ch <- 7 })
		if got := waittest.Receive(f, "a number", ch); got != 7 || len(f.why) > 0 {
			t.Errorf("received %d, failed with %q", got, f.why)
		}
	})
}

func TestLooksThatTakeLongLeaveTimeBetweenThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, most := range map[time.Duration]int{time.Second: 21, 5 * time.Second: 9} {
			asked, began := 0, time.Now()
			waittest.Until(&failed{}, "a minute", func() bool {
				asked++
				time.Sleep(took)
				return time.Since(began) >= time.Minute
			})
			if asked > most || time.Since(began) > time.Minute+8*time.Second {
				t.Errorf("looks of %v: %d in %v, want at most %d in a minute", took, asked, time.Since(began), most)
			}
		}
	})
}

func TestAWaitThatHangsFailsWithWhatWasMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failed{}
		waittest.Until(f, "the first", func() bool { return false })
		waittest.NoError(f, "the second", func() error { return errors.New("3 of 4 are there") })
		waittest.Receive(f, "the third", make(chan struct{}))
		want := []string{"waited 5m0s for the first: it never came", "waited 5m0s for the second: 3 of 4 are there", "waited 5m0s for the third"}
		if got := strings.Join(f.why, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("failed with\n%s", got)
		}
		ctx, cancel := waittest.Context(t.Context())
		defer cancel()
		<-ctx.Done()
		if deadline, ok := ctx.Deadline(); !ok || time.Now().Before(deadline) {
			t.Errorf("the context ended before its deadline %v", deadline)
		}
	})
}
