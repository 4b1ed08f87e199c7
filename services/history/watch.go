package history

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// watchTick is the least pause between two statuses on a stream.
const watchTick = time.Second

// WatchStatus tells the status as it is, and again after each change of a recipient's standing or state, at most once a second.
func (h *statusServer) WatchStatus(req *outboundv1.WatchStatusRequest, stream outboundv1.StatusService_WatchStatusServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	changed := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		_ = control.NewHealthStore(h.s.Bus).Changes(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	})
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	told := ""
	for first := true; ; first = false {
		now := h.configuredAs()
		tell := first || now != told
		select {
		case <-changed:
			tell = true
		default:
		}
		if tell {
			told = now
			s, err := h.GetStatus(ctx, &outboundv1.GetStatusRequest{RecipientId: req.GetRecipientId()})
			if err != nil {
				return err
			}
			if err := stream.Send(s); err != nil {
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

// configuredAs changes when a recipient does.
func (h *statusServer) configuredAs() string {
	var b strings.Builder
	for _, r := range h.s.Config.Recipients() {
		fmt.Fprintf(&b, "%s %d %t\n", r.ID, r.Revision, r.Deleting)
	}
	return b.String()
}
