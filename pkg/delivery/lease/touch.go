package lease

import (
	"context"
	"sync"
	"time"
)

// Toucher is what settles a message and can have the broker wait longer.
type Toucher interface {
	// Touch says that the message is in hand: the broker's ack wait begins again. It returns once the broker has confirmed that.
	Touch(context.Context) error
}

// Touch has a message that takes long kept from being handed out again, by touching it at an interval until stop is called; each touch
// that the broker confirms renews the lease. One that is lost, as while the broker is away, is made good by the next one within the
// ack wait. It does nothing if every is 0, or if the settler is no Toucher.
func Touch(settler any, l *Lease, every time.Duration) (stop func()) {
	x, ok := settler.(Toucher)
	if !ok || every <= 0 {
		return func() {}
	}
	renew := l.renewable()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				touch(ctx, x, renew, every)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// touch touches a message once. A lease that is over stays so: another sender may have the message.
func touch(ctx context.Context, x Toucher, renew func(time.Time), limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	if x.Touch(ctx) == nil {
		renew(began)
	}
}
