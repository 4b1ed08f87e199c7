package recipients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// Tester tests recipients: it sends test events, tries filters and diagnoses connections. Its methods implement part of
// outboundv1.RecipientServiceServer.
type Tester struct {
	recipients *Recipients
	settings   *settings.Settings
	filters    *filter.Compiler
	bus        *bus.Conn
	publisher  *bus.Publisher
	log        *slog.Logger
}

// TesterDeps are what a tester works with.
type TesterDeps struct {
	Recipients *Recipients
	Settings   *settings.Settings
	Filters    *filter.Compiler
	Bus        *bus.Conn
	Publisher  *bus.Publisher
	Logger     *slog.Logger
}

// NewTester returns a tester.
func NewTester(d TesterDeps) *Tester {
	return &Tester{recipients: d.Recipients, settings: d.Settings, filters: d.Filters, bus: d.Bus, publisher: d.Publisher, log: d.Logger}
}

// TestRecipient implements outboundv1.RecipientServiceServer.
func (s *Tester) TestRecipient(ctx context.Context, q *outboundv1.TestRecipientRequest) (*outboundv1.TestRecipientResponse, error) {
	stored, err := s.recipients.active(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	r := stored.GetRecipient()
	if !r.GetEnabled() && r.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD {
		return nil, rpc.FailedPrecondition("HELD",
			fmt.Sprintf("recipient %s is paused (disabled with HOLD), so a test event would be held: enable it first", q.GetId()))
	}
	if w, open := stored.InMaintenance(s.recipients.now()); open && !q.GetDuringMaintenance() {
		return nil, rpc.FailedPrecondition("MAINTENANCE", fmt.Sprintf("recipient %s is in maintenance until %s, so a test event would be held: "+
			"set duringMaintenance (--during-maintenance) to send it now", q.GetId(), maintenance.TimeIn(w.End, s.recipients.now(), w.Zone)))
	}
	wanted := q.GetEventType()
	if wanted == "" {
		wanted = r.GetEventTypes()[0]
	}
	t, err := testType(ctx, s.settings, r, wanted)
	if err != nil {
		return nil, err
	}
	codes, err := s.settings.CodeNames(ctx)
	if err != nil {
		return nil, err
	}
	id := ulid.Make().String()
	e, err := testEvent(t, sampled{id: id, custom: codes, at: s.recipients.now()}, q.GetData())
	if err != nil {
		return nil, err
	}
	kept, err := s.publisher.Replay(ctx, q.GetId(), e, bus.Replay{ID: id, Actor: rpc.Actor(ctx), Test: true})
	if err != nil {
		return nil, publishFailed(ctx, err)
	}
	// An open breaker lets this delivery through. If the sender misses the request, the test waits with the rest.
	if err := queue.New(s.bus).Expedite(stored.Channel(), q.GetId(), []uint64{kept.Sequence}); err != nil {
		s.log.WarnContext(ctx, "a test may wait", telemetry.KeyError, err.Error())
	}
	return &outboundv1.TestRecipientResponse{EventId: e.Key()}, nil
}

// testType returns the type of a test event. The recipient need not select it, but it must be one that the recipient can be sent.
func testType(ctx context.Context, s *settings.Settings, r *outboundv1.Recipient, id string) (event.Type, error) {
	types, err := s.Catalogue(ctx)
	if err != nil {
		return event.Type{}, err
	}
	known := make([]string, len(types))
	for i, t := range types {
		if t.ID == id && store.Describe(r).Takes(t) {
			return t, nil
		}
		known[i] = t.ID
	}
	fault := rpc.Violation{Field: "eventType", Reason: validation.UnknownType, Description: event.UnknownType(id, known).Description}
	if slices.Contains(known, id) {
		fault.Reason, fault.Description = validation.NotByEmail, id+" can't be sent by email: see GET /v1/event-types for the types that can"
	}
	return event.Type{}, rpc.InvalidArgument(fault)
}

// sampled is what a test event has beside its type.
type sampled struct {
	id     string
	custom []string
	at     time.Time
}

// testEvent returns a sample event with the caller's variables. A test event is addressed to the recipient, so its selection does not
// matter.
func testEvent(t event.Type, s sampled, data *structpb.Struct) (*event.Event, error) {
	e := event.Sample(t, event.TestAppliance, s.id, s.at, s.custom)
	if e == nil {
		return nil, rpc.FailedPrecondition("NO_SAMPLE",
			fmt.Sprintf("the sample values of event type %s are not a valid event: correct them", t.ID))
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
	return store.AsStatus(ctx, err)
}
