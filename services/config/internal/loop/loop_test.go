package loop_test

import (
	"testing"

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
