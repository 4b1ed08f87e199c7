package events

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// eventPage is one event with its way through the system.
type eventPage struct {
	item
	// JSON is the event, a field a line.
	JSON string
	// Ways are the recipients, those that got it first; Timeline is what happened; Owed are its deliveries.
	Ways []way
	Past []entry
	Owed []owed
	// Choices are the recipients that it may be sent to; Form is the form that sends it.
	Choices []web.Option
	Form    *web.Form
}

// way is why a recipient got the event, or did not.
type way struct {
	*outboundv1.Route
	// Address is the recipient's page, Delivery the delivery's if there is one.
	Address, Delivery string
}

// To is the recipient's name, or its id if it is gone.
func (w way) To() string {
	if w.GetDisplayName() != "" {
		return w.GetDisplayName()
	}
	return w.GetRecipientId()
}

// Has reports whether there is a delivery.
func (w way) Has() bool {
	return w.GetState() != outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED
}

// entry is something that happened to the event.
type entry struct {
	*outboundv1.TimelineEntry
	// To is the recipient's name, Delivery the delivery's page.
	To, Delivery string
}

// Tone is how it looks; the words say the same.
func (e entry) Tone() string {
	switch {
	case e.GetKind() == "rejected", e.GetState() == outboundv1.DeliveryState_EXPIRED, e.GetState() == outboundv1.DeliveryState_REJECTED:
		return "bad"
	case e.GetKind() == "accepted", e.GetState() == outboundv1.DeliveryState_DELIVERED:
		return "good"
	case e.GetState() == outboundv1.DeliveryState_RETRYING:
		return "warn"
	default:
		return "quiet"
	}
}

// Has reports whether it tells what a delivery came to.
func (e entry) Has() bool {
	return e.GetState() != outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED
}

// owed is a delivery of the event.
type owed struct {
	*outboundv1.Delivery
	// Address is the delivery's page, To the recipient's name.
	Address, To string
}

// Open reports whether it is not final.
func (o owed) Open() bool {
	return o.GetState() == outboundv1.DeliveryState_WAITING || o.GetState() == outboundv1.DeliveryState_RETRYING
}

func delivery(recipient, event, replay string) string {
	return web.Address("/deliveries/"+url.PathEscape(recipient)+"/"+url.PathEscape(event), "replayId", replay)
}

func showEvent(r *web.Request) error { return renderEvent(r, &web.Form{}) }

func renderEvent(r *web.Request, form *web.Form) error {
	var types, recipients []web.Option
	var asking sync.WaitGroup
	asking.Go(func() { types = web.TypeChoices(r.Context(), r.API) })
	asking.Go(func() { recipients = web.RecipientChoices(r.Context(), r.API) })
	e, err := r.API.Events.GetEvent(r.Context(), &outboundv1.GetEventRequest{EventId: r.PathValue("id")})
	asking.Wait()
	if err != nil {
		return err
	}
	p := eventPage{item: items([]*outboundv1.Event{e}, web.Labels(types))[0], JSON: indented(e.GetCloudEventJson()), Form: form, Choices: recipients}
	p.follow(web.Labels(recipients))
	return r.Render("event", p)
}

// follow fills in the way of the event. names are the recipients' names.
func (p *eventPage) follow(names map[string]string) {
	name := func(id string) string {
		if names[id] != "" {
			return names[id]
		}
		return id
	}
	for _, matched := range []bool{true, false} {
		for _, route := range p.GetRoutes() {
			if route.GetMatched() == matched {
				p.Ways = append(p.Ways, way{route, "/recipients/" + url.PathEscape(route.GetRecipientId()), delivery(route.GetRecipientId(), p.GetEventId(), "")})
			}
		}
	}
	for _, t := range p.GetTimeline() {
		e := entry{TimelineEntry: t, To: name(t.GetRecipientId())}
		if t.GetRecipientId() != "" {
			e.Delivery = delivery(t.GetRecipientId(), p.GetEventId(), t.GetReplayId())
		}
		p.Past = append(p.Past, e)
	}
	for _, d := range p.GetDeliveries() {
		p.Owed = append(p.Owed, owed{d, delivery(d.GetRecipientId(), d.GetEventId(), d.GetReplayId()), name(d.GetRecipientId())})
	}
}

// Recipients are those that the event may be sent to.
func (p eventPage) Recipients() []web.Option {
	return append([]web.Option{{Label: "Choose a recipient"}}, p.Choices...)
}

// indented is JSON with a field a line; what is no JSON is left as it is.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// send sends an event to a recipient, whether it wanted it or not.
func send(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	id, to := r.PathValue("id"), form.Get("recipientId")
	if to == "" {
		form.Add("recipientId", "choose a recipient")
	}
	var answer *outboundv1.RetryDeliveriesResponse
	if !form.Bad() {
		answer, err = r.API.Deliveries.RetryDeliveries(r.Context(), &outboundv1.RetryDeliveriesRequest{
			Deliveries: []*outboundv1.RetryDeliveriesRequest_Target{{RecipientId: to, EventId: id}},
		})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		r.Status(http.StatusUnprocessableEntity)
		return renderEvent(r, form)
	}
	r.Flash(web.Good, "Queued for "+to+". The new delivery is listed below.")
	return r.Redirect(web.Address("/deliveries", "replayId", answer.GetReplayId()))
}
