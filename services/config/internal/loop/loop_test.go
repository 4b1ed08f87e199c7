package loop_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/services/config/internal/loop"
)

func TestSignalsAreJoined(t *testing.T) {
	s := loop.NewSignal()
	s.Set()
	s.Set()
	<-s
	select {
	case <-s:
		t.Error("two signals before the reader wakes wake it twice")
	default:
	}
}

func TestASleepEndsWithItsTimeOrItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		loop.Sleep(t.Context(), time.Minute)
		if slept := time.Since(began); slept != time.Minute {
			t.Errorf("slept %s", slept)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		loop.Sleep(ctx, time.Hour)
		if slept := time.Since(began); slept != time.Minute+time.Second {
			t.Errorf("slept %s though the context has ended", slept)
		}
	})
}
