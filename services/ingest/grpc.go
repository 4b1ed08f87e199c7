package ingest

import (
	"cmp"
	"context"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// PublishEvent implements outboundv1.EventServiceServer.
func (s *Service) PublishEvent(ctx context.Context, r *outboundv1.PublishEventRequest) (*outboundv1.PublishEventResponse, error) {
	k := s.now.Load()
	if k == nil {
		return nil, rpc.Unavailable("ingest is starting or stopping: retry shortly")
	}
	raw, err := rawEvent(r)
	if err != nil {
		return nil, err
	}
	x := submission{raw: raw, via: viaHTTP}
	if p, ok := rpc.PrincipalFrom(ctx); ok && p.Role == rpc.RoleAppliance {
		x.appliance, x.bound = p.Appliance, true
		x.named = r.GetApplianceId()
	} else {
		x.appliance, x.caller = r.GetApplianceId(), cmp.Or(p.Name, "outbound")
	}
	receipt, e, err := k.take(ctx, x)
	if err != nil {
		return nil, err
	}
	return answer(receipt, e), nil
}

// rawEvent is the event's JSON in either form of the request.
func rawEvent(r *outboundv1.PublishEventRequest) ([]byte, error) {
	switch x := r.GetSource().(type) {
	case *outboundv1.PublishEventRequest_Json:
		return x.Json, nil
	case *outboundv1.PublishEventRequest_Event:
		raw, err := protojson.Marshal(x.Event)
		if err != nil {
			return nil, rpc.InvalidArgument(rpc.Violation{Field: "event", Reason: event.ReasonMalformed,
				Description: "can't be encoded as JSON: " + err.Error()})
		}
		return raw, nil
	default:
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "event", Reason: event.ReasonMissing, Description: "is missing: set event or json"})
	}
}
