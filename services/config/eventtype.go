package config

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
)

const kindEventType = "event type"

func encodeType(t event.Type) *outboundv1.EventType {
	out := &outboundv1.EventType{Id: t.ID, DisplayName: t.DisplayName, Product: t.Product, Email: t.Email, BuiltIn: t.BuiltIn}
	for _, v := range t.Variables {
		out.Variables = append(out.Variables, &outboundv1.Variable{Name: v.Name, Description: v.Description, Example: v.Example})
	}
	return out
}

// eventTypes reads the catalogue: built-in types first, then those of one's own by id.
func (s *Service) eventTypes(ctx context.Context) ([]*outboundv1.EventType, error) {
	entries, err := s.settings.all(ctx, prefixType)
	if err != nil {
		return nil, failed(ctx, err)
	}
	var out []*outboundv1.EventType
	for _, t := range event.Catalogue() {
		out = append(out, encodeType(t))
	}
	for _, e := range entries {
		p, err := decodePart(e)
		if err != nil {
			return nil, err
		}
		out = append(out, p.GetEventTypes()...)
	}
	return out, nil
}

// catalogue is the same for judgements.
func (s *Service) catalogue(ctx context.Context) ([]event.Type, error) {
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
func (s settingsServer) ListEventTypes(ctx context.Context, _ *outboundv1.ListEventTypesRequest) (*outboundv1.ListEventTypesResponse, error) {
	types, err := s.eventTypes(ctx)
	if err != nil {
		return nil, err
	}
	return &outboundv1.ListEventTypesResponse{EventTypes: types}, nil
}

// GetEventType implements outboundv1.SettingsServiceServer.
func (s settingsServer) GetEventType(ctx context.Context, q *outboundv1.GetEventTypeRequest) (*outboundv1.EventType, error) {
	if t, ok := builtIn(q.GetId()); ok {
		return t, nil
	}
	if !event.ValidType(q.GetId()) {
		return nil, rpc.NotFound(kindEventType, q.GetId())
	}
	p, _, err := s.part(ctx, prefixType+q.GetId())
	if err != nil {
		return nil, err
	}
	if len(p.GetEventTypes()) == 0 {
		return nil, rpc.NotFound(kindEventType, q.GetId())
	}
	return p.GetEventTypes()[0], nil
}

// checkType answers with everything that is wrong with a type.
func (s *Service) checkType(v violations, t *outboundv1.EventType) error {
	t.DisplayName = strings.TrimSpace(t.GetDisplayName())
	if err := s.rules(&v, t, "id"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, x := range t.GetVariables() {
		field := fmt.Sprintf("variables[%d].name", i)
		if seen[x.GetName()] {
			v.add(field, reasonDuplicate, "is given twice")
		}
		seen[x.GetName()] = true
		if event.Reserved(x.GetName()) || x.GetName() == "external_key" || x.GetName() == "custom_fields" {
			v.add(field, reasonReserved, "is a variable of every event: choose another name")
		}
	}
	return v.err()
}

// CreateEventType implements outboundv1.SettingsServiceServer.
func (s settingsServer) CreateEventType(ctx context.Context, q *outboundv1.CreateEventTypeRequest) (*outboundv1.EventType, error) {
	if q.GetValidateOnly() && !s.inDryRun {
		return validateOnly(ctx, s.Service, func(r *Service) (*outboundv1.EventType, error) {
			return settingsServer{Service: r}.CreateEventType(ctx, q)
		})
	}
	t := &outboundv1.EventType{}
	if in := q.GetEventType(); in != nil {
		t, _ = proto.Clone(in).(*outboundv1.EventType)
	}
	t.BuiltIn, t.Etag = false, ""
	if err := s.checkType(violations{}, t); err != nil {
		return nil, err
	}
	taken := rpc.AlreadyExists("id", t.GetId(), "choose another id, or update the existing type")
	if _, ok := builtIn(t.GetId()); ok {
		return nil, taken
	}
	p, err := s.changePart(ctx, prefixType+t.GetId(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
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

// changeType changes a type of one's own.
func (s *Service) changeType(ctx context.Context, id, etag string, f func(p *outboundv1.WatchSettingsResponse) error) (*outboundv1.WatchSettingsResponse, error) {
	if _, ok := builtIn(id); ok {
		return nil, rpc.FailedPrecondition("BUILT_IN", fmt.Sprintf("event type %s is built in and can't be changed or deleted: create a custom one", id))
	}
	if !event.ValidType(id) {
		return nil, rpc.NotFound(kindEventType, id)
	}
	return s.changePart(ctx, prefixType+id, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if len(p.GetEventTypes()) == 0 {
			return rpc.NotFound(kindEventType, id)
		}
		if etag != "" && etag != etagOf(revision) {
			return rpc.Aborted(kindEventType, id)
		}
		return f(p)
	})
}

// UpdateEventType implements outboundv1.SettingsServiceServer.
func (s settingsServer) UpdateEventType(ctx context.Context, q *outboundv1.UpdateEventTypeRequest) (*outboundv1.EventType, error) {
	if q.GetValidateOnly() && !s.inDryRun {
		return validateOnly(ctx, s.Service, func(r *Service) (*outboundv1.EventType, error) {
			return settingsServer{Service: r}.UpdateEventType(ctx, q)
		})
	}
	in := q.GetEventType()
	p, err := s.changeType(ctx, in.GetId(), in.GetEtag(), func(p *outboundv1.WatchSettingsResponse) error {
		t := p.GetEventTypes()[0]
		mayEmail := t.GetEmail()
		if err := s.checkType(merge(t, in, q.GetUpdateMask()), t); err != nil {
			return err
		}
		if mayEmail && !t.GetEmail() {
			return s.refuseIfSelected(ctx, t.GetId(), "be disabled for email", func(r storedRecipient) bool { return r.GetRecipient().GetEmail() != nil })
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p.GetEventTypes()[0], nil
}

// DeleteEventType implements outboundv1.SettingsServiceServer.
func (s settingsServer) DeleteEventType(ctx context.Context, q *outboundv1.DeleteEventTypeRequest) (*emptypb.Empty, error) {
	_, err := s.changeType(ctx, q.GetId(), q.GetEtag(), func(*outboundv1.WatchSettingsResponse) error {
		if err := s.refuseIfSelected(ctx, q.GetId(), "be deleted", func(storedRecipient) bool { return true }); err != nil {
			return err
		}
		return errGone
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// refuseIfSelected answers FAILED_PRECONDITION if a recipient that counts has selected a type.
func (s *Service) refuseIfSelected(ctx context.Context, id, what string, counts func(storedRecipient) bool) error {
	all, err := s.allRecipients(ctx)
	if err != nil {
		return err
	}
	var by []string
	for _, r := range all {
		if !r.deleting() && counts(r) && slices.Contains(r.GetRecipient().GetEventTypes(), id) {
			by = append(by, r.id())
		}
	}
	if len(by) == 0 {
		return nil
	}
	if more := len(by) - 5; more > 0 {
		by = append(by[:5], fmt.Sprintf("%d more", more))
	}
	return rpc.FailedPrecondition("SELECTED", fmt.Sprintf("event type %s can't %s while recipients select it: remove it from %s first", id, what, strings.Join(by, ", ")))
}
