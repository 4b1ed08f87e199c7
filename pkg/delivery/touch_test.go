package delivery_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// touched counts what a queue is told.
type touched struct {
	delivery.Settler
	n int
}

func (s *touched) Touch() error {
	s.n++
	return errors.New("the broker is away")
}

func TestAMessageIsTouchedWhileItIsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &touched{}
		stop := delivery.Touch(s, 15*time.Second)
		time.Sleep(time.Minute + time.Second)
		stop()
		if s.n != 4 {
			t.Errorf("touched %d times in a minute, want 4", s.n)
		}
		time.Sleep(time.Minute)
		if s.n != 4 {
			t.Error("touched after it was let go")
		}
		delivery.Touch(s, 0)()
		delivery.Touch(struct{ delivery.Settler }{}, time.Second)()
	})
}
