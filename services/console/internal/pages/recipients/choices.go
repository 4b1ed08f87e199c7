package recipients

import (
	"cmp"
	"context"
	"slices"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// choices are what the services offer to choose from.
type choices struct {
	// Groups are the event types by product, those that a recipient of the channel may have.
	Groups []group
	// Appliances are those that there are.
	Appliances []*outboundv1.Appliance
	// Events are the last ones, newest first, to try things on.
	Events []*outboundv1.Event
	labels map[string]string
}

// group is a product's event types.
type group struct {
	Name  string
	Types []web.Option
}

// eventsOffered is how many of the last events can be chosen.
const eventsOffered = 20

// offer asks the services. Without the catalogue there is no form; the rest is a help.
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
	if answer, err := api.Events.ListEvents(ctx, &outboundv1.ListEventsRequest{PageSize: eventsOffered, Decision: outboundv1.Intake_ACCEPTED}); err == nil {
		c.Events = answer.GetEvents()
		// Those that the recipient would get come first: the first is what is shown unless another is chosen.
		foreign := func(e *outboundv1.Event) int { return -min(slices.Index(chosen, e.GetEventType()), 0) }
		slices.SortStableFunc(c.Events, func(a, b *outboundv1.Event) int { return cmp.Compare(foreign(a), foreign(b)) })
	}
	return c, nil
}

// arrange groups the types by product, in the catalogue's order. What is chosen and not offered has a group of its own, so that
// saving does not lose it.
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

// Types are all that can be chosen.
func (c *choices) Types() []web.Option {
	var out []web.Option
	for _, g := range c.Groups {
		out = append(out, g.Types...)
	}
	return out
}

// Label is an event type's name for people.
func (c *choices) Label(id string) string { return cmp.Or(c.labels[id], id) }

// OtherAppliances are those chosen that are none of ours now.
func (c *choices) OtherAppliances(chosen []string) []string {
	var out []string
	for _, id := range chosen {
		if !slices.ContainsFunc(c.Appliances, func(a *outboundv1.Appliance) bool { return a.GetId() == id }) {
			out = append(out, id)
		}
	}
	return out
}

// The choices of the form's selects.
func (editPage) WhileDisabled() []web.Option {
	return []web.Option{{Value: "SKIP", Label: "Skip them (never delivered)"}, {Value: "HOLD", Label: "Hold them and deliver when re-enabled"}}
}

// Formats are the ways to write a body.
func (editPage) Formats() []web.Option {
	return []web.Option{
		{Value: "FORM", Label: "Form-encoded variables"}, {Value: "JSON", Label: "JSON (structured CloudEvent)"},
		{Value: "JSON_BINARY", Label: "JSON (binary CloudEvent: data as body, ce- headers)"},
	}
}

// Rules are what counts as delivered.
func (editPage) Rules() []web.Option {
	return []web.Option{{Value: "HTTP_200", Label: "200 only"}, {Value: "ANY_2XX", Label: "Any 2xx status"}}
}

// Orders are whether events keep their order.
func (editPage) Orders() []web.Option {
	return []web.Option{{Value: "NONE", Label: "Unordered (parallel)"}, {Value: "STRICT", Label: "Strict: in order; a failing event blocks the ones behind it"}}
}

// Auths are the ways to prove who we are.
func (editPage) Auths() []web.Option {
	return []web.Option{
		{Value: "", Label: "None"}, {Value: authBasic, Label: "User name and password"}, {Value: authBearer, Label: "Bearer token"},
		{Value: authAPIKey, Label: "API key header"}, {Value: authOAuth2, Label: "OAuth 2.0 client credentials"}, {Value: authCertificate, Label: "TLS client certificate"},
	}
}

// Kinds are the kinds of signing secrets.
func (editPage) Kinds() []web.Option {
	return []web.Option{{Value: "", Label: "No additional secret"}, {Value: "HMAC_SHA256", Label: "Shared secret (HMAC-SHA256)"}, {Value: "ED25519", Label: "Key pair (Ed25519)"}}
}
