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

// eventPage is the data of an event: its routing, timeline and deliveries.
type eventPage struct {
	item
	// JSON is the event as indented JSON.
	JSON string
	// Routing lists the recipients, the matching ones first.
	Routing []route
	// Records is the timeline of the event.
	Records []entry
	Owed    []eventDelivery
	// Choices are the recipients that the event can be sent to; Form is the form that sends it.
	Choices []web.Option
	Form    *web.Form
}

// route is a recipient and whether the event matched it.
type route struct {
	*outboundv1.Route
	// Address is the address of the recipient, Delivery that of the delivery.
	Address, Delivery string
}

// To is the display name of the recipient, or its id if it is deleted.
func (w route) To() string {
	if w.GetDisplayName() != "" {
		return w.GetDisplayName()
	}
	return w.GetRecipientId()
}

// Has reports whether there is a delivery.
func (w route) Has() bool {
	return w.GetState() != outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED
}

// entry is a record of the timeline.
type entry struct {
	*outboundv1.TimelineEntry
	// To is the display name of the recipient, Delivery the address of the delivery.
	To, Delivery string
}

// Tone is the colour of the record; its text says the same.
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

// Has reports whether the record has the state of a delivery.
func (e entry) Has() bool {
	return e.GetState() != outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED
}

// eventDelivery is a delivery of the event.
type eventDelivery struct {
	*outboundv1.Delivery
	// Address is the address of the delivery, To the display name of the recipient.
	Address, To string
}

// Open reports whether the delivery is not final.
func (o eventDelivery) Open() bool {
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
	p := eventPage{item: items([]*outboundv1.Event{e}, web.Labels(types))[0], JSON: indented(e.GetCloudEventJson()), Form: form,
		Choices: recipients}
	p.addDetails(web.Labels(recipients))
	return r.Render("event", p)
}

// addDetails sets the routing, the timeline and the deliveries. names are the display names of the recipients.
func (p *eventPage) addDetails(names map[string]string) {
	name := func(id string) string {
		if names[id] != "" {
			return names[id]
		}
		return id
	}
	for _, matched := range []bool{true, false} {
		for _, x := range p.GetRoutes() {
			if x.GetMatched() == matched {
				p.Routing = append(p.Routing, route{x, "/recipients/" + url.PathEscape(x.GetRecipientId()),
					delivery(x.GetRecipientId(), p.GetEventId(), "")})
			}
		}
	}
	for _, t := range p.GetTimeline() {
		e := entry{TimelineEntry: t, To: name(t.GetRecipientId())}
		if t.GetRecipientId() != "" {
			e.Delivery = delivery(t.GetRecipientId(), p.GetEventId(), t.GetReplayId())
		}
		p.Records = append(p.Records, e)
	}
	for _, d := range p.GetDeliveries() {
		p.Owed = append(p.Owed, eventDelivery{d, delivery(d.GetRecipientId(), d.GetEventId(), d.GetReplayId()), name(d.GetRecipientId())})
	}
}

// Recipients returns the options of the recipient field.
func (p eventPage) Recipients() []web.Option {
	return append([]web.Option{{Label: "Choose a recipient"}}, p.Choices...)
}

// indented returns indented JSON, or the text itself if it is not JSON.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// send sends an event to a recipient, whether or not it matches.
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
