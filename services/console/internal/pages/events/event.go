package events

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
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
	// Choices are the recipients that the event can be sent to; Form is the form that sends it.
	Choices []web.Option
	Form    *web.Form
}

// route is a recipient, whether the event matched it, and one of its deliveries of the event.
type route struct {
	// Route is nil for a further delivery of a recipient: a replay, a test, or one to a recipient that is gone.
	*outboundv1.Route
	// To is the display name of the recipient, or its ID if it is deleted; Address is its address.
	To, Address string
	// Owed is the delivery; nil if there is none.
	Owed *eventDelivery
}

// Text says why the event is not or not yet delivered. A delivery says by itself what came of it.
func (w route) Text() string {
	if w.Owed != nil {
		return w.Owed.GetDetail()
	}
	return w.GetDetail()
}

// Why is the reason of what did not come to a success, as one word; empty for a success.
func (w route) Why() string {
	reason := w.GetReason()
	if w.Owed != nil {
		reason = w.Owed.GetReason()
	}
	if reason == "ok" {
		return ""
	}
	return reason
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
	// Address is the address of the delivery.
	Address string
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
	p.route(name)
	for _, t := range p.GetTimeline() {
		e := entry{TimelineEntry: t, To: name(t.GetRecipientId())}
		if t.GetRecipientId() != "" {
			e.Delivery = delivery(t.GetRecipientId(), p.GetEventId(), t.GetReplayId())
		}
		p.Records = append(p.Records, e)
	}
}

// route lists each recipient with its deliveries, the matching ones first, and then the deliveries to recipients that are gone.
func (p *eventPage) route(name func(id string) string) {
	of := map[string][]*eventDelivery{}
	for _, d := range p.GetDeliveries() {
		id := d.GetRecipientId()
		of[id] = append(of[id], &eventDelivery{d, delivery(id, d.GetEventId(), d.GetReplayId())})
	}
	add := func(x *outboundv1.Route, id, to string) {
		r := route{Route: x, To: cmp.Or(to, name(id)), Address: "/recipients/" + url.PathEscape(id)}
		own := slices.IndexFunc(of[id], func(d *eventDelivery) bool { return d.GetReplayId() == "" && !d.GetTest() })
		if own >= 0 {
			r.Owed = of[id][own]
		}
		if x != nil || own >= 0 {
			p.Routing = append(p.Routing, r)
		}
		for i, d := range of[id] {
			if i != own {
				p.Routing = append(p.Routing, route{To: r.To, Address: r.Address, Owed: d})
			}
		}
		delete(of, id)
	}
	for _, matched := range []bool{true, false} {
		for _, x := range p.GetRoutes() {
			if x.GetMatched() == matched {
				add(x, x.GetRecipientId(), x.GetDisplayName())
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(of)) {
		add(nil, id, "")
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
