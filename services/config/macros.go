package config

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// ListMacros implements outboundv1.SettingsServiceServer.
func (s settingsServer) ListMacros(ctx context.Context, q *outboundv1.ListMacrosRequest) (*outboundv1.ListMacrosResponse, error) {
	types, err := s.mailTypes(ctx, q.GetEventTypes())
	if err != nil {
		return nil, err
	}
	settings, err := s.shared(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	out := &outboundv1.ListMacrosResponse{}
	known := map[string]*outboundv1.Macro{}
	for _, t := range types {
		example := map[string]string{}
		if e := sampleOf(t, settings, time.Now()); e != nil {
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

// mailTypes are the types of the catalogue that are named, or all that email recipients may have.
func (s *Service) mailTypes(ctx context.Context, ids []string) ([]event.Type, error) {
	types, err := s.catalogue(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if len(ids) == 0 {
		return slices.DeleteFunc(types, func(t event.Type) bool { return !t.Email }), nil
	}
	var v violations
	var out []event.Type
	for i, id := range ids {
		field := fmt.Sprintf("eventTypes[%d]", i)
		at := slices.IndexFunc(types, func(t event.Type) bool { return t.ID == id })
		switch {
		case at < 0:
			v.add(field, reasonUnknownType, event.UnknownType(id, typeIDs(types)).Description)
		case !types[at].Email:
			v.add(field, reasonNotByEmail, id+" can't be sent by email: see GET /v1/event-types for the types that can")
		case !slices.ContainsFunc(out, func(t event.Type) bool { return t.ID == id }):
			out = append(out, types[at])
		}
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	return out, nil
}

// errNoSample says that a type has no sample.
func errNoSample(t event.Type) error {
	return rpc.FailedPrecondition("NO_SAMPLE", fmt.Sprintf("the sample values of event type %s are not a valid event: correct them", t.ID))
}
