package status

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// watchTick is the least pause between two statuses on a stream.
const watchTick = time.Second

// Watch sends the status of one recipient, or of all if id is empty, and sends it again after each change of a recipient's health or
// configuration, at most once a second.
func (s *Reporter) Watch(ctx context.Context, id string, send func(*outboundv1.Status) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		_ = s.health.Changes(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	})
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	sent := ""
	for first := true; ; first = false {
		now := s.configuredAs()
		due := first || now != sent
		select {
		case <-changed:
			due = true
		default:
		}
		if due {
			sent = now
			report, err := s.Status(ctx, id)
			if err != nil {
				return err
			}
			if err := send(report); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// configuredAs returns a text that changes when a recipient does.
func (s *Reporter) configuredAs() string {
	var b strings.Builder
	for _, r := range s.Config.Recipients() {
		fmt.Fprintf(&b, "%s %d %t\n", r.ID, r.Revision, r.Deleting)
	}
	return b.String()
}
