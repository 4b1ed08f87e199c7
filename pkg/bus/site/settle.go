package site

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/pause"
)

// Answer is what became of an event: forwarded, unless one of its fields is set.
type Answer struct {
	// Refused is why it will never be accepted.
	Refused string
	// Again is after which time it is to be tried again.
	Again time.Duration
}

// keep tells the site's broker again and again that an event is under way, until stop is called.
func keep(m jetstream.Msg, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var telling sync.WaitGroup
	telling.Go(func() {
		for pause.For(ctx, every); ctx.Err() == nil; pause.For(ctx, every) {
			_ = m.InProgress()
		}
	})
	return func() {
		cancel()
		telling.Wait()
	}
}

// settle tells the site's broker what became of an event. If that is lost the event is handed out again, and is then a duplicate.
func settle(m jetstream.Msg, a Answer) {
	switch {
	case a.Again > 0:
		_ = m.NakWithDelay(a.Again)
	case a.Refused != "":
		_ = m.TermWithReason(a.Refused)
	default:
		_ = m.Ack()
	}
}
