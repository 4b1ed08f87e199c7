package events

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// eventsShown and rejectedShown are the default page sizes, eventsMost is the maximum.
const (
	eventsShown   = 50
	rejectedShown = 20
	eventsMost    = 200
)

// filterFields returns the fields of ListEventsRequest to filter by. They are the query parameters of the page.
func filterFields() []string {
	return []string{"eventType", "decision", "applianceId", "sessionId", "externalKey", "startTime", "endTime"}
}

// item is an event in a list.
type item struct {
	*outboundv1.Event
	// Type is the display name of the event type.
	Type string
}

// Address is the address of the event.
func (i item) Address() string { return "/events/" + url.PathEscape(i.GetEventId()) }

// Rejected reports whether the event failed validation.
func (i item) Rejected() bool { return i.GetDecision() == outboundv1.Intake_REJECTED }

// RawText is the kept request body as text; empty for binary content.
func (i item) RawText() string {
	if len(i.GetRaw()) > 0 && readable(i.GetRaw()) {
		return string(i.GetRaw())
	}
	return ""
}

// RawHex is a hex dump of the first bytes of binary content.
func (i item) RawHex() string {
	if len(i.GetRaw()) == 0 || readable(i.GetRaw()) {
		return ""
	}
	return dump(i.GetRaw())
}

// RawBytes is the size of the kept request body.
func (i item) RawBytes() int { return len(i.GetRaw()) }

// Cut reports whether the request body may be truncated.
func (i item) Cut() bool { return len(i.GetRaw()) >= rawKept }

// rawKept is the maximum size of a kept request body.
const rawKept = 16 << 10

// listPage is a list of events.
type listPage struct {
	Form       *web.Form
	Items      []item
	types      []web.Option
	appliances bool
	// Next and First are the addresses of other pages; Here is the address of the list without a page token.
	Next, First, Here string
	// Filtered reports whether a filter is set.
	Filtered bool
	// Ranges are the ranges of time to choose from.
	Ranges []web.RangeLink
}

// Types returns the options of the event type filter.
func (p listPage) Types() []web.Option {
	return web.OrAny("All event types", p.Form.Get("eventType"), p.types)
}

// Decisions returns the options of the decision filter.
func (p listPage) Decisions() []web.Option {
	return web.OrAny("All decisions", p.Form.Get("decision"),
		[]web.Option{{Value: "ACCEPTED", Label: "accepted"}, {Value: "REJECTED", Label: "invalid"}})
}

// Appliances reports whether there is an appliance. It is true while the appliances are unavailable.
func (p listPage) Appliances() bool { return p.appliances }

func showEvents(r *web.Request) error {
	return list(r, "list", "/events", filterFields(), &outboundv1.ListEventsRequest{PageSize: eventsShown})
}

func showRejected(r *web.Request) error {
	return list(r, "rejected", "/rejected", []string{"applianceId", "startTime", "endTime"},
		&outboundv1.ListEventsRequest{PageSize: rejectedShown, Decision: outboundv1.Intake_REJECTED})
}

// list shows the events of a request, filtered by the query parameters in fields.
func list(r *web.Request, page, path string, fields []string, asked *outboundv1.ListEventsRequest) error {
	p := listPage{Form: &web.Form{Values: r.RangeFilter("startTime", "endTime")}, appliances: true,
		Ranges: r.RangeLinks("startTime", "endTime")}
	size := asked.GetPageSize()
	if err := p.Form.Read(asked, append(fields, "pageSize")...); err != nil {
		return err
	}
	if asked.PageSize == 0 {
		asked.PageSize = size
	}
	asked.PageSize, asked.PageToken = min(asked.PageSize, eventsMost), p.Form.Get("page")
	var answer *outboundv1.ListEventsResponse
	var err error
	var asking sync.WaitGroup
	asking.Go(func() { p.types = web.TypeChoices(r.Context(), r.API) })
	asking.Go(func() {
		if answer, err := r.API.Settings.ListAppliances(r.Context(), &outboundv1.ListAppliancesRequest{}); err == nil {
			p.appliances = len(answer.GetAppliances()) > 0
		}
	})
	if !p.Form.Bad() {
		answer, err = r.API.Events.ListEvents(r.Context(), asked)
	}
	asking.Wait()
	if err != nil && !p.Form.Refused(err) {
		return err
	}
	p.Items = items(answer.GetEvents(), web.Labels(p.types))
	p.turn(path, fields, answer.GetNextPageToken())
	if p.Form.Bad() {
		r.Status(http.StatusUnprocessableEntity)
	}
	return r.Render(page, p)
}

// turn sets the addresses of the other pages.
func (p *listPage) turn(path string, fields []string, next string) {
	q := url.Values{}
	for _, name := range append(fields, "pageSize") {
		if v := p.Form.Get(name); v != "" {
			q.Set(name, v)
			p.Filtered = p.Filtered || name != "pageSize"
		}
	}
	at := func() string { return strings.TrimSuffix(path+"?"+q.Encode(), "?") }
	p.Here = at()
	if p.Form.Get("page") != "" {
		p.First = p.Here
	}
	if next != "" {
		q.Set("page", next)
		p.Next = at()
	}
}

func items(of []*outboundv1.Event, types map[string]string) []item {
	out := make([]item, 0, len(of))
	for _, e := range of {
		label := types[e.GetEventType()]
		if label == "" {
			label = e.GetEventType()
		}
		out = append(out, item{e, label})
	}
	return out
}
