package settings

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// ListMacros implements outboundv1.SettingsServiceServer.
func (s *Settings) ListMacros(ctx context.Context, q *outboundv1.ListMacrosRequest) (*outboundv1.ListMacrosResponse, error) {
	types, err := s.mailTypes(ctx, q.GetEventTypes())
	if err != nil {
		return nil, err
	}
	settings, err := s.Decoded(ctx)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	out := &outboundv1.ListMacrosResponse{}
	known := map[string]*outboundv1.Macro{}
	for _, t := range types {
		example := map[string]string{}
		if e := SampleEvent(t, settings, s.now()); e != nil {
			example = render.MacroValues(e, t, render.MailOptions{
				Custom: settings.CustomFields, CustomNames: settings.CustomFieldNames, Zone: settings.Email.Location,
			})
		}
		for _, m := range render.MacroNames(t, settings.CustomFields) {
			p := known[m.Name]
			if p == nil {
				p = &outboundv1.Macro{Name: m.Name, Description: m.Description}
				known[m.Name], out.Macros = p, append(out.Macros, p)
			}
			p.EventTypes, p.Example = append(p.EventTypes, t.ID), cmp.Or(p.GetExample(), example[m.Name])
		}
		out.Defaults = append(out.Defaults, &outboundv1.DefaultMailText{EventType: t.ID, Text: &outboundv1.MailText{
			Subject: render.DefaultSubject(t.ID), Body: render.DefaultBody(t.ID), HtmlBody: render.DefaultHTML(t.ID),
		}})
	}
	slices.SortStableFunc(out.Macros, func(a, b *outboundv1.Macro) int { return len(b.GetEventTypes()) - len(a.GetEventTypes()) })
	return out, nil
}

// mailTypes returns the named types, or all that can be sent by email.
func (s *Settings) mailTypes(ctx context.Context, ids []string) ([]event.Type, error) {
	types, err := s.Catalogue(ctx)
	if err != nil {
		return nil, store.AsStatus(ctx, err)
	}
	if len(ids) == 0 {
		return slices.DeleteFunc(types, func(t event.Type) bool { return !t.Email }), nil
	}
	var v validation.Violations
	var out []event.Type
	for i, id := range ids {
		field := fmt.Sprintf("eventTypes[%d]", i)
		at := slices.IndexFunc(types, func(t event.Type) bool { return t.ID == id })
		switch {
		case at < 0:
			v.Add(field, validation.UnknownType, event.UnknownType(id, TypeIDs(types)).Description)
		case !types[at].Email:
			v.Add(field, validation.NotByEmail, id+" can't be sent by email: see GET /v1/event-types for the types that can")
		case !slices.ContainsFunc(out, func(t event.Type) bool { return t.ID == id }):
			out = append(out, types[at])
		}
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// ErrNoSample returns the error that a type has no valid sample.
func ErrNoSample(t event.Type) error {
	return rpc.FailedPrecondition("NO_SAMPLE", fmt.Sprintf("the sample values of event type %s are not a valid event: correct them", t.ID))
}

// TypeIDs returns the ids of types.
func TypeIDs(types []event.Type) []string {
	ids := make([]string, len(types))
	for i, t := range types {
		ids[i] = t.ID
	}
	return ids
}

// SampleAppliance and SampleID are the source and the id of the samples that texts and bodies are tried on.
const (
	SampleAppliance = "appliance-1"
	SampleID        = "example"
)

// SampleEvent returns an event of a type as an appliance would publish it: one of those named, or one of the settings. It is nil if the
// type's examples make none.
func SampleEvent(t event.Type, s *settings.Settings, now time.Time, of ...string) *event.Event {
	appliance := SampleAppliance
	if known := slices.Sorted(maps.Keys(s.Appliances)); len(known) > 0 {
		appliance = known[0]
	}
	if len(of) > 0 {
		appliance = of[0]
	}
	return event.Sample(t, appliance, SampleID, now.Truncate(time.Second), s.CustomFields)
}
