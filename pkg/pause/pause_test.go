package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/pause"
)

func TestAPauseLastsAsLongAsItSaysOrUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !pause.For(t.Context(), time.Hour) || time.Since(began) != time.Hour {
			t.Errorf("an hour took %s", time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Minute)
			cancel()
		}()
		began = time.Now()
		if pause.For(ctx, time.Hour) || time.Since(began) != time.Minute {
			t.Errorf("a pause whose context ends after a minute took %s", time.Since(began))
		}
		for d, want := range map[time.Duration]bool{0: true, -time.Second: true} {
			if pause.For(t.Context(), d) != want || pause.For(ctx, d) == want {
				t.Errorf("a pause of %s does not report whether its context goes on", d)
			}
		}
	})
}
