package lease_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/lease"
)

// touched counts what a queue is told.
type touched struct {
	n    int
	away atomic.Bool
}

func (s *touched) Touch(context.Context) error {
	s.n++
	if s.away.Load() {
		return errors.New("the broker is away")
	}
	return nil
}

func TestAMessageIsTouchedWhileItIsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &touched{}
		s.away.Store(true)
		stop := lease.Touch(s, &lease.Lease{}, 15*time.Second)
		time.Sleep(time.Minute + time.Second)
		stop()
		if s.n != 4 {
			t.Errorf("touched %d times in a minute, want 4", s.n)
		}
		time.Sleep(time.Minute)
		if s.n != 4 {
			t.Error("touched after it was let go")
		}
		lease.Touch(s, &lease.Lease{}, 0)()
		lease.Touch(struct{}{}, &lease.Lease{}, time.Second)()
	})
}

// A touch that the broker confirms renews the lease and its copies; one that it does not confirm does not, and a lease that is over stays
// so.
func TestAConfirmedTouchRenewsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &touched{}
		l := lease.Lease{Since: time.Now(), AckWait: 45 * time.Second}
		before := l
		defer lease.Touch(s, &l, 15*time.Second)()
		shared := l
		time.Sleep(10*time.Minute + time.Second)
		if l.Over() || shared.Over() {
			t.Error("the lease is over although each touch was confirmed")
		}
		if !before.Over() {
			t.Error("a copy from before was renewed")
		}
		s.away.Store(true)
		time.Sleep(time.Minute)
		if !l.Over() || !shared.Over() {
			t.Error("the lease goes on although no touch was confirmed")
		}
		s.away.Store(false)
		time.Sleep(time.Minute)
		if !l.Over() {
			t.Error("a lease that was over was renewed")
		}
	})
}
