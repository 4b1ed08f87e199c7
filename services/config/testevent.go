package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// TestRecipient implements outboundv1.RecipientServiceServer.
func (s recipientServer) TestRecipient(ctx context.Context, q *outboundv1.TestRecipientRequest) (*outboundv1.TestRecipientResponse, error) {
	stored, err := s.living(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	r := stored.GetRecipient()
	if !r.GetEnabled() {
		return nil, rpc.FailedPrecondition("DISABLED", fmt.Sprintf("recipient %s is disabled and would not be sent a test: enable it first", q.GetId()))
	}
	wanted := q.GetEventType()
	if wanted == "" {
		wanted = r.GetEventTypes()[0]
	}
	types, err := s.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(types, func(t event.Type) bool { return t.ID == wanted })
	if i < 0 || !slices.Contains(r.GetEventTypes(), wanted) {
		return nil, rpc.InvalidArgument(rpc.Violation{
			Field: "eventType", Reason: reasonUnknownType,
			Description: fmt.Sprintf("%q is not among the event types of recipient %s: leave it empty for the first of them", wanted, q.GetId()),
		})
	}
	fields, _, err := s.customFields(ctx)
	if err != nil {
		return nil, err
	}
	id := ulid.Make().String()
	e, err := testEvent(types[i], id, codeNames(fields), q.GetData())
	if err != nil {
		return nil, err
	}
	if _, err := s.publisher.Replay(ctx, q.GetId(), e, id, true); err != nil {
		return nil, publishFailed(ctx, err)
	}
	return &outboundv1.TestRecipientResponse{EventId: e.Key()}, nil
}

// testEvent makes a sample event and puts the caller's variables in place of its own. Appliances selected by the recipient do
// not matter: a test is addressed to it.
func testEvent(t event.Type, id string, custom []string, data *structpb.Struct) (*event.Event, error) {
	e := event.Sample(t, testAppliance, id, time.Now(), custom)
	if e == nil {
		return nil, rpc.FailedPrecondition("NO_SAMPLE", fmt.Sprintf("the sample values of event type %s make no event: correct them", t.ID))
	}
	if len(data.GetFields()) == 0 {
		return e, nil
	}
	var envelope map[string]any
	if err := json.Unmarshal(e.Raw, &envelope); err != nil {
		return nil, fmt.Errorf("read the sample event of %s: %w", t.ID, err)
	}
	variables, ok := envelope["data"].(map[string]any)
	if !ok {
		variables = map[string]any{}
	}
	for name, v := range data.AsMap() {
		variables[name] = v
	}
	envelope["data"] = variables
	raw, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("write the test event of %s: %w", t.ID, err)
	}
	changed, faults := event.Decode(raw)
	if len(faults) > 0 {
		return nil, rpc.InvalidArgument(rpc.FromEvent(faults)...)
	}
	return changed, nil
}

func publishFailed(ctx context.Context, err error) error {
	if errors.Is(err, bus.ErrFull) {
		return rpc.Full("EVENTS_FULL", "the queue of events is full: try again once it has drained")
	}
	return failed(ctx, err)
}
