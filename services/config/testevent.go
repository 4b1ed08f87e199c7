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
	stored, err := s.active(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	r := stored.GetRecipient()
	if !r.GetEnabled() && r.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD {
		return nil, rpc.FailedPrecondition("HELD", fmt.Sprintf("recipient %s is paused (disabled with HOLD), so a test event would be held: enable it first", q.GetId()))
	}
	wanted := q.GetEventType()
	if wanted == "" {
		wanted = r.GetEventTypes()[0]
	}
	t, err := s.testType(ctx, r, wanted)
	if err != nil {
		return nil, err
	}
	fields, err := s.customFields(ctx)
	if err != nil {
		return nil, err
	}
	id := ulid.Make().String()
	e, err := testEvent(t, id, codeNames(fields), q.GetData())
	if err != nil {
		return nil, err
	}
	kept, err := s.publisher.Replay(ctx, q.GetId(), e, bus.Replay{ID: id, Actor: rpc.Actor(ctx), Test: true})
	if err != nil {
		return nil, publishFailed(ctx, err)
	}
	// A recipient that fails all the time is sent it all the same. If that is not heard, it comes with the rest.
	if err := s.bus.Expedite(channel(stored), q.GetId(), []uint64{kept.Sequence}); err != nil {
		s.log.WarnContext(ctx, "a test may wait", "error", err.Error())
	}
	return &outboundv1.TestRecipientResponse{EventId: e.Key()}, nil
}

// testType is the type of a test event. It need not be one that the recipient selects, but one that it can be sent.
func (s *Service) testType(ctx context.Context, r *outboundv1.Recipient, id string) (event.Type, error) {
	types, err := s.catalogue(ctx)
	if err != nil {
		return event.Type{}, err
	}
	known := make([]string, len(types))
	for i, t := range types {
		if t.ID == id && (t.Email || r.GetEmail() == nil) {
			return t, nil
		}
		known[i] = t.ID
	}
	fault := rpc.Violation{Field: "eventType", Reason: reasonUnknownType, Description: event.UnknownType(id, known).Description}
	if slices.Contains(known, id) {
		fault.Reason, fault.Description = reasonNotByEmail, id+" can't be sent by email: see GET /v1/event-types for the types that can"
	}
	return event.Type{}, rpc.InvalidArgument(fault)
}

// testEvent makes a sample event and puts the caller's variables in place of its own. What the recipient selects does
// not matter: a test is addressed to it.
func testEvent(t event.Type, id string, custom []string, data *structpb.Struct) (*event.Event, error) {
	e := event.Sample(t, testAppliance, id, time.Now(), custom)
	if e == nil {
		return nil, rpc.FailedPrecondition("NO_SAMPLE", fmt.Sprintf("the sample values of event type %s are not a valid event: correct them", t.ID))
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
		return nil, fmt.Errorf("encode the test event of %s: %w", t.ID, err)
	}
	changed, faults := event.Decode(raw)
	if len(faults) > 0 {
		return nil, rpc.InvalidArgument(rpc.FromEvent(faults)...)
	}
	return changed, nil
}

func publishFailed(ctx context.Context, err error) error {
	if errors.Is(err, bus.ErrFull) {
		return rpc.Full("EVENTS_FULL", "the event queue is full: try again when it has drained")
	}
	return failed(ctx, err)
}
