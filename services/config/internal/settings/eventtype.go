package settings

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

const kindEventType = "event type"

// EventTypes is the catalogue of event types: built-in types and those that operators add.
type EventTypes struct {
	parts      *store.Parts
	recipients *store.Recipients
	rules      *rpc.Validator
}

func encodeType(t event.Type) *outboundv1.EventType {
	out := &outboundv1.EventType{Id: t.ID, DisplayName: t.DisplayName, Product: t.Product, Email: t.Email, BuiltIn: t.BuiltIn}
	for _, v := range t.Variables {
		out.Variables = append(out.Variables, &outboundv1.Variable{Name: v.Name, Description: v.Description, Example: v.Example})
	}
	return out
}

// eventTypes returns the catalogue: built-in types first, then custom types by id.
func (s *EventTypes) eventTypes(ctx context.Context) ([]*outboundv1.EventType, error) {
	parts, err := s.parts.List(ctx, store.PrefixType)
	if err != nil {
		return nil, err
	}
	var out []*outboundv1.EventType
	for _, t := range event.Catalogue() {
		out = append(out, encodeType(t))
	}
	for _, p := range parts {
		out = append(out, p.GetEventTypes()...)
	}
	return oncePerID(out), nil
}

// Catalogue returns the catalogue as types of the domain.
func (s *EventTypes) Catalogue(ctx context.Context) ([]event.Type, error) {
	types, err := s.eventTypes(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]event.Type, len(types))
	for i, t := range types {
		out[i] = configclient.DecodeType(t)
	}
	return out, nil
}

func builtIn(id string) (*outboundv1.EventType, bool) {
	for _, t := range event.Catalogue() {
		if t.ID == id {
			return encodeType(t), true
		}
	}
	return nil, false
}

// ListEventTypes implements outboundv1.SettingsServiceServer.
func (s *EventTypes) ListEventTypes(ctx context.Context, _ *outboundv1.ListEventTypesRequest) (*outboundv1.ListEventTypesResponse, error) {
	types, err := s.eventTypes(ctx)
	if err != nil {
		return nil, err
	}
	return &outboundv1.ListEventTypesResponse{EventTypes: types}, nil
}

// GetEventType implements outboundv1.SettingsServiceServer.
func (s *EventTypes) GetEventType(ctx context.Context, q *outboundv1.GetEventTypeRequest) (*outboundv1.EventType, error) {
	if !event.ValidType(q.GetId()) {
		return nil, rpc.NotFound(kindEventType, q.GetId())
	}
	p, _, err := s.parts.Get(ctx, store.PrefixType+q.GetId())
	if err != nil {
		return nil, err
	}
	if t, ok := builtIn(q.GetId()); ok {
		return oncePerID(append([]*outboundv1.EventType{t}, p.GetEventTypes()...))[0], nil
	}
	if len(p.GetEventTypes()) == 0 {
		return nil, rpc.NotFound(kindEventType, q.GetId())
	}
	return p.GetEventTypes()[0], nil
}

// check returns everything that is wrong with a type.
func (s *EventTypes) check(ctx context.Context, v validation.Violations, t *outboundv1.EventType) error {
	if err := s.checkAliases(ctx, &v, t); err != nil {
		return err
	}
	t.DisplayName = strings.TrimSpace(t.GetDisplayName())
	if err := v.Rules(s.rules, t, "id"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, x := range t.GetVariables() {
		field := fmt.Sprintf("variables[%d].name", i)
		if seen[x.GetName()] {
			v.Add(field, validation.Duplicate, "is given twice")
		}
		seen[x.GetName()] = true
		if event.Reserved(x.GetName()) || x.GetName() == "external_key" || x.GetName() == "custom_fields" {
			v.Add(field, validation.Reserved, "is a variable of every event: choose another name")
		}
	}
	return v.Err()
}

// CreateEventType implements outboundv1.SettingsServiceServer.
func (s *EventTypes) CreateEventType(ctx context.Context, q *outboundv1.CreateEventTypeRequest) (*outboundv1.EventType, error) {
	t := &outboundv1.EventType{}
	if in := q.GetEventType(); in != nil {
		t, _ = proto.Clone(in).(*outboundv1.EventType)
	}
	t.BuiltIn, t.Etag = false, ""
	if err := s.check(ctx, validation.Violations{}, t); err != nil {
		return nil, err
	}
	taken := rpc.AlreadyExists("id", t.GetId(), "choose another id, or update the existing type")
	if _, ok := builtIn(t.GetId()); ok {
		return nil, taken
	}
	p, _, err := s.parts.Change(ctx, store.PrefixType+t.GetId(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if revision > 0 {
			return taken
		}
		p.EventTypes = []*outboundv1.EventType{t}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p.GetEventTypes()[0], nil
}

// change changes a custom type.
func (s *EventTypes) change(ctx context.Context, id, etag string, f partFunc) (*outboundv1.WatchSettingsResponse, error) {
	if _, ok := builtIn(id); ok {
		return nil, rpc.FailedPrecondition("BUILT_IN",
			fmt.Sprintf("event type %s is built in and can't be changed or deleted: create a custom one", id))
	}
	if !event.ValidType(id) {
		return nil, rpc.NotFound(kindEventType, id)
	}
	p, _, err := s.parts.Change(ctx, store.PrefixType+id, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if len(p.GetEventTypes()) == 0 {
			return rpc.NotFound(kindEventType, id)
		}
		if etag != "" && etag != store.Etag(revision) {
			return rpc.Aborted(kindEventType, id)
		}
		return f(p)
	})
	return p, err
}

// UpdateEventType implements outboundv1.SettingsServiceServer.
func (s *EventTypes) UpdateEventType(ctx context.Context, q *outboundv1.UpdateEventTypeRequest) (*outboundv1.EventType, error) {
	in := q.GetEventType()
	if t, ok := builtIn(in.GetId()); ok {
		return s.updateBuiltIn(ctx, t, q)
	}
	p, err := s.change(ctx, in.GetId(), in.GetEtag(), func(p *outboundv1.WatchSettingsResponse) error {
		t := p.GetEventTypes()[0]
		mayEmail := t.GetEmail()
		if err := s.check(ctx, validation.Merge(t, in, q.GetUpdateMask()), t); err != nil {
			return err
		}
		if mayEmail && !t.GetEmail() {
			return s.refuseIfSelected(ctx, t.GetId(), "be disabled for email", onlyMarked)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p.GetEventTypes()[0], nil
}

// DeleteEventType implements outboundv1.SettingsServiceServer.
func (s *EventTypes) DeleteEventType(ctx context.Context, q *outboundv1.DeleteEventTypeRequest) (*emptypb.Empty, error) {
	_, err := s.change(ctx, q.GetId(), q.GetEtag(), func(*outboundv1.WatchSettingsResponse) error {
		if err := s.refuseIfSelected(ctx, q.GetId(), "be deleted", func(store.Recipient) bool { return true }); err != nil {
			return err
		}
		return store.ErrRemove
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// onlyMarked reports whether a recipient gets only event types that are marked as ones for email.
func onlyMarked(r store.Recipient) bool { return r.Describe().MarkedTypes }

// refuseIfSelected returns FAILED_PRECONDITION if one of the recipients that count selects a type.
func (s *EventTypes) refuseIfSelected(ctx context.Context, id, what string, counts func(store.Recipient) bool) error {
	all, err := s.recipients.List(ctx)
	if err != nil {
		return err
	}
	var by []string
	for _, r := range all {
		if !r.Deleting() && counts(r) && slices.Contains(r.GetRecipient().GetEventTypes(), id) {
			by = append(by, r.ID())
		}
	}
	if len(by) == 0 {
		return nil
	}
	if more := len(by) - 5; more > 0 {
		by = append(by[:5], fmt.Sprintf("%d more", more))
	}
	return rpc.FailedPrecondition("SELECTED",
		fmt.Sprintf("event type %s can't %s while recipients select it: remove it from %s first", id, what, strings.Join(by, ", ")))
}
