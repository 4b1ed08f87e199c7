package emailsender

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/services/emailsender/internal/relay"
)

// NewSender gives tests the sender of a service without its engine; its pool runs until the end of the test.
func NewSender(t testing.TB, o Options, settings settingsSource) delivery.Sender {
	return NewLimitedSender(t, o, settings, nil)
}

// NewLimitedSender is NewSender with the keeper of the relay's rate limit.
func NewLimitedSender(t testing.TB, o Options, settings settingsSource, limiter throttle.Limiter) delivery.Sender {
	s := newSender(o, settings, relay.PoolOptions{Limiter: limiter})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.pool.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return s
}

// SettingsChanged tells a sender what the config client tells a service.
func SettingsChanged(s delivery.Sender) { s.(*sender).settingsChanged() }

// Compose writes the mail of a delivery to one address, sent when its event was accepted.
func Compose(d *delivery.Delivery, s *settings.Settings, to string) ([]byte, error) {
	l, err := mailTo(d, s, to, d.Accepted)
	if err != nil {
		return nil, err
	}
	return l.Data, nil
}

// TouchEvery sets how often a service tells the broker of what is under way.
func TouchEvery(s *Service, every time.Duration) { s.touchEvery = every }
