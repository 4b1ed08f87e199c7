package recipients

import (
	"cmp"
	"context"
	"slices"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// choices are the options of the form fields.
type choices struct {
	// Groups are the event types of the channel by product.
	Groups []group
	// Appliances are all appliances.
	Appliances []*outboundv1.Appliance
	// Events are recent events for previews and tests, newest first.
	Events []*outboundv1.Event
	labels map[string]string
}

// group is the event types of a product.
type group struct {
	Name  string
	Types []web.Option
}

// eventsOffered is the number of recent events to choose from.
const eventsOffered = 20

// offer requests the options from the services. Only the event types are required.
func offer(ctx context.Context, api web.API, email bool, chosen []string) (choices, error) {
	var c choices
	catalogue, err := api.Settings.ListEventTypes(ctx, &outboundv1.ListEventTypesRequest{})
	if err != nil {
		return c, err
	}
	c.arrange(catalogue.GetEventTypes(), email, chosen)
	if answer, err := api.Settings.ListAppliances(ctx, &outboundv1.ListAppliancesRequest{}); err == nil {
		c.Appliances = answer.GetAppliances()
	}
	if answer, err := api.Events.ListEvents(ctx,
		&outboundv1.ListEventsRequest{PageSize: eventsOffered, Decision: outboundv1.Intake_ACCEPTED}); err == nil {
		c.Events = answer.GetEvents()
		// Events of the selected types come first, because the first event is the default example.
		foreign := func(e *outboundv1.Event) int { return -min(slices.Index(chosen, e.GetEventType()), 0) }
		slices.SortStableFunc(c.Events, func(a, b *outboundv1.Event) int { return cmp.Compare(foreign(a), foreign(b)) })
	}
	return c, nil
}

// arrange groups the types by product, in the order of the catalogue. Selected types that are no longer offered get a separate
// group, so that saving keeps them.
func (c *choices) arrange(types []*outboundv1.EventType, email bool, chosen []string) {
	c.labels = map[string]string{}
	for _, t := range types {
		c.labels[t.GetId()] = t.GetDisplayName()
		if email && !t.GetEmail() {
			continue
		}
		c.put(cmp.Or(t.GetProduct(), "Custom"), web.Option{Value: t.GetId(), Label: t.GetDisplayName()})
	}
	for _, id := range chosen {
		if !slices.ContainsFunc(c.Types(), func(o web.Option) bool { return o.Value == id }) {
			c.put("No longer offered", web.Option{Value: id, Label: cmp.Or(c.labels[id], id)})
		}
	}
}

func (c *choices) put(name string, o web.Option) {
	for i := range c.Groups {
		if c.Groups[i].Name == name {
			c.Groups[i].Types = append(c.Groups[i].Types, o)
			return
		}
	}
	c.Groups = append(c.Groups, group{name, []web.Option{o}})
}

// Types returns all types of the groups.
func (c *choices) Types() []web.Option {
	var out []web.Option
	for _, g := range c.Groups {
		out = append(out, g.Types...)
	}
	return out
}

// Label returns the display name of an event type.
func (c *choices) Label(id string) string { return cmp.Or(c.labels[id], id) }

// OtherAppliances returns the selected appliances that do not exist.
func (c *choices) OtherAppliances(chosen []string) []string {
	var out []string
	for _, id := range chosen {
		if !slices.ContainsFunc(c.Appliances, func(a *outboundv1.Appliance) bool { return a.GetId() == id }) {
			out = append(out, id)
		}
	}
	return out
}

// WhileDisabled returns the options for events of a disabled recipient.
func (editPage) WhileDisabled() []web.Option {
	return []web.Option{{Value: "SKIP", Label: "Skip them (never delivered)"}, {Value: "HOLD", Label: "Hold them and deliver when re-enabled"}}
}

// Formats returns the body formats.
func (editPage) Formats() []web.Option {
	return []web.Option{
		{Value: "FORM", Label: "Form-encoded variables"}, {Value: "JSON", Label: "JSON (structured CloudEvent)"},
		{Value: "JSON_BINARY", Label: "JSON (binary CloudEvent: data as body, ce- headers)"},
	}
}

// Rules returns the success criteria.
func (editPage) Rules() []web.Option {
	return []web.Option{{Value: "HTTP_200", Label: "200 only"}, {Value: "ANY_2XX", Label: "Any 2xx status"}}
}

// Orders returns the delivery orders.
func (editPage) Orders() []web.Option {
	return []web.Option{{Value: "NONE", Label: "Unordered (parallel)"},
		{Value: "STRICT", Label: "Strict: in order; a failing event blocks the ones behind it"}}
}

// Auths returns the authentication methods.
func (editPage) Auths() []web.Option {
	return []web.Option{
		{Value: "", Label: "None"}, {Value: authBasic, Label: "User name and password"}, {Value: authBearer, Label: "Bearer token"},
		{Value: authAPIKey, Label: "API key header"}, {Value: authOAuth2, Label: "OAuth 2.0 client credentials"},
		{Value: authCertificate, Label: "TLS client certificate"},
	}
}

// Kinds returns the kinds of signing secrets.
func (editPage) Kinds() []web.Option {
	return []web.Option{{Value: "", Label: "No additional secret"}, {Value: "HMAC_SHA256", Label: "Shared secret (HMAC-SHA256)"},
		{Value: "ED25519", Label: "Key pair (Ed25519)"}}
}
