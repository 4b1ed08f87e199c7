package changes

import (
	"fmt"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// target names a delivery.
type target struct{ recipient, key, replay string }

// unique returns the targets, each once. Their parts become parts of subjects, so they must be valid ids.
func unique(targets []*outboundv1.RetryDeliveriesRequest_Target) ([]target, error) {
	known := map[target]bool{}
	var out []target
	var faults []rpc.Violation
	for i, t := range targets {
		at := fmt.Sprintf("deliveries[%d].", i)
		to := target{t.GetRecipientId(), t.GetEventId(), t.GetReplayId()}
		appliance, id, ok := event.SplitKey(to.key)
		switch {
		case !lookup.ValidID(to.recipient, ""):
			faults = append(faults, lookup.InvalidID(at+"recipientId"))
		case !ok || !lookup.ValidKey(appliance, id):
			faults = append(faults, lookup.InvalidKey(at+"eventId"))
		case !lookup.ValidID(to.replay, ""):
			faults = append(faults, lookup.InvalidID(at+"replayId"))
		case !known[to]:
			known[to] = true
			out = append(out, to)
		}
	}
	if len(faults) > 0 {
		return nil, rpc.InvalidArgument(faults...)
	}
	return out, nil
}
