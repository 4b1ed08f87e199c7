package delivery

import (
	"sync"
	"time"
)

// Toucher is a Settler that can have the broker wait longer.
type Toucher interface {
	// Touch says that the message is in hand: the broker's ack wait begins again. The call returns at once.
	Touch() error
}

// Touch has a message that takes long kept from being handed out again, by touching it at an interval until stop is called. A touch that
// is lost, as while the broker is away, is made good by the next one within the ack wait. It does nothing if every is 0, or if the settler
// is no Toucher.
func Touch(s Settler, every time.Duration) (stop func()) {
	x, ok := s.(Toucher)
	if !ok || every <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = x.Touch()
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}
