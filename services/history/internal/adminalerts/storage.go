package adminalerts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// The shares of EVENTS in percent from which it fills, and below which it has room again.
const (
	fillingFrom       = status.FullFrom
	storageFreedBelow = 70
)

// longestQueues is how many queues a notice of a stream that fills lists.
const longestQueues = 5

// filling notifies that EVENTS fills, once until it has room again.
func (n *Notifier) filling(ctx context.Context, now time.Time, set *settings.Settings) error {
	f, err := n.eventsFilling(ctx)
	if err != nil {
		return err
	}
	m, err := n.load(ctx, control.MarkFilling)
	if err != nil {
		return err
	}
	notice := health.Notice{At: now, Thread: control.MarkFilling, Filling: &f}
	switch of := m.Of; {
	case f.Percent() >= fillingFrom && (of == "" || m.Over || m.unnotified(of, false, now)):
		if of == "" || m.Over {
			of = now.UTC().Format(time.RFC3339Nano)
		}
		all, err := n.Status.Status(ctx, "")
		if err != nil {
			return err
		}
		f.Longest = longest(all)
		notice.Kind = health.KindStorage
		return n.notifyOnce(ctx, m, occurrence{state: health.AlertState{Of: of}, notice: notice, contacts: set.SMTP.AdminContacts})
	case of == "" || f.Percent() >= storageFreedBelow:
		return nil
	case m.Over && m.Notified:
		return n.remove(ctx, m.name)
	case m.unnotified(of, true, now):
		notice.Kind = health.KindStorageFreed
		return n.notifyOnce(ctx, m, occurrence{state: health.AlertState{Of: of, Over: true}, notice: notice, contacts: set.SMTP.AdminContacts})
	default:
		return nil
	}
}

// eventsFilling returns how full EVENTS is.
func (n *Notifier) eventsFilling(ctx context.Context) (health.StorageUse, error) {
	streams, err := control.New(n.Bus).StreamStates(ctx)
	if err != nil {
		return health.StorageUse{}, err
	}
	for _, x := range streams {
		if x.Name == bus.StreamEvents {
			return health.StorageUse{Stream: x.Name, Bytes: x.Bytes, MaxBytes: x.MaxBytes}, nil
		}
	}
	return health.StorageUse{}, fmt.Errorf("check the stream %s: it does not exist", bus.StreamEvents)
}

// longest are the longest queues.
func longest(s *outboundv1.Status) []health.QueueLength {
	var out []health.QueueLength
	for _, r := range s.GetRecipients() {
		if r.GetQueuedEvents() > 0 {
			out = append(out, queueOf(r))
		}
	}
	slices.SortStableFunc(out, func(a, b health.QueueLength) int { return cmp.Compare(b.Waiting, a.Waiting) })
	return out[:min(longestQueues, len(out))]
}
