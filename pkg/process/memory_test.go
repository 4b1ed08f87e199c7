package process_test

import (
	"context"
	"errors"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/process"
)

// pace is how much garbage there may be, in percent of what is in use.
func pace() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func TestGarbageIsCollectedLessOftenWhereLittleIsInUse(t *testing.T) {
	t.Setenv("GOGC", "")
	debug.SetGCPercent(100)
	code := process.Run("test", func(ctx context.Context) error {
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		for pace() != 400 {
			select {
			case <-look.C:
			case <-ctx.Done():
				return errors.New("stopped")
			}
		}
		return nil
	})
	if code != 0 || pace() != 100 {
		t.Errorf("ended with %d, and a pace of %d afterwards", code, pace())
	}
}

func TestWhoSetsGOGCDecidesAlone(t *testing.T) {
	t.Setenv("GOGC", "50")
	debug.SetGCPercent(50)
	defer debug.SetGCPercent(100)
	during := uint64(0)
	process.Run("test", func(context.Context) error {
		during = pace()
		return nil
	})
	if during != 50 || pace() != 50 {
		t.Errorf("the pace is %d, then %d; want 50", during, pace())
	}
}
