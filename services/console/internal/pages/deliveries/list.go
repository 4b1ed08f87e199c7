package deliveries

import (
	"context"
	"hash/fnv"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// rowsShown is the default page size; rowsMost is the maximum page size and the number of rows that a page keeps while deliveries
// arrive.
const (
	rowsShown = 50
	rowsMost  = 200
)

// filterFields returns the JSON names of the fields of ListDeliveriesRequest to filter by. They are the query parameters of the page.
func filterFields() []string {
	return []string{
		"recipientId", "state", "reasonClass", "eventType", "channel", "applianceId", "sessionId", "externalKey", "eventId", "reason", "replayId",
		"startTime", "endTime",
	}
}

// firstFields are the fields that are always visible; the others are under More filters.
func firstFields() []string { return []string{"recipientId", "state", "reasonClass", "eventType"} }

// row is a delivery in the list.
type row struct {
	*outboundv1.Delivery
	// Type is the display name of the event type.
	Type string
}

// Target encodes the delivery for forms.
func (r row) Target() string { return target(r.GetRecipientId(), r.GetEventId(), r.GetReplayId()) }

// ID is the element id of the row. All records of a delivery have the same id.
func (r row) ID() string { return "d-" + hash(r.Target()) }

// Address is the address of the delivery.
func (r row) Address() string { return address(r.GetRecipientId(), r.GetEventId(), r.GetReplayId()) }

// EventAddress is the address of the event.
func (r row) EventAddress() string { return "/events/" + url.PathEscape(r.GetEventId()) }

// RecipientAddress is the address of the recipient.
func (r row) RecipientAddress() string { return "/recipients/" + url.PathEscape(r.GetRecipientId()) }

// To is the display name of the recipient, or its id if it is deleted.
func (r row) To() string {
	if r.GetRecipientDisplayName() != "" {
		return r.GetRecipientDisplayName()
	}
	return r.GetRecipientId()
}

// Time is the time of the last attempt, or of acceptance without attempts.
func (r row) Time() *timestamppb.Timestamp {
	if r.GetLastAttemptTime() != nil {
		return r.GetLastAttemptTime()
	}
	return r.GetAcceptTime()
}

// Bad reports whether there is an error to show.
func (r row) Bad() bool {
	return r.GetReason() != "" && r.GetState() != outboundv1.DeliveryState_DELIVERED && r.GetState() != outboundv1.DeliveryState_WAITING
}

// Open reports whether the delivery is not final.
func (r row) Open() bool {
	return r.GetState() == outboundv1.DeliveryState_WAITING || r.GetState() == outboundv1.DeliveryState_RETRYING
}

// Took is the duration of the last attempt in words.
func (r row) Took() string { return took(r.GetLastAttemptMs()) }

func took(ms float64) string {
	switch {
	case ms <= 0:
		return ""
	case ms < 0.1:
		return "< 0.1 ms"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	case ms < 10_000:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	default:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	}
}

func hash(text string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return strconv.FormatUint(h.Sum64(), 36)
}

// address returns the address of a delivery.
func address(recipient, event, replay string) string {
	return web.Address("/deliveries/"+url.PathEscape(recipient)+"/"+url.PathEscape(event), "replayId", replay)
}

// listPage is the data of the list.
type listPage struct {
	Form  *web.Form
	Rows  []row
	Known choices
	// Next and First are the addresses of other pages.
	Next, First string
	// Tail is the address of the live tail; empty if no new records can match.
	Tail string
	// All is the address to replay all matching deliveries; empty if that is not possible, and NoReplay says why.
	All      string
	NoReplay noReplay
	// Filtered reports whether a filter is set, More whether one under More filters is.
	Filtered, More bool
	// Here is the address of the list without a page token.
	Here string
	// Ranges are the ranges of time to choose from; rangeKey is the chosen one.
	Ranges   []web.RangeLink
	rangeKey string
	// times are the times of the filter by field.
	times map[string]*timestamppb.Timestamp
	// made is the time of the request to the services. Later records are not in the list.
	made time.Time
}

// choices are the options of the filter fields.
type choices struct{ recipients, types []web.Option }

// choose requests the options from the services concurrently.
func choose(ctx context.Context, api web.API) choices {
	var c choices
	var asking sync.WaitGroup
	asking.Go(func() { c.recipients = web.RecipientChoices(ctx, api) })
	asking.Go(func() { c.types = web.TypeChoices(ctx, api) })
	asking.Wait()
	return c
}

// Recipients are the options of the recipient filter.
func (p listPage) Recipients() []web.Option {
	return web.OrAny("All recipients", p.Form.Get("recipientId"), p.Known.recipients)
}

// Types are the options of the event type filter.
func (p listPage) Types() []web.Option {
	return web.OrAny("All event types", p.Form.Get("eventType"), p.Known.types)
}

// Classes are the options of the error filter.
func (p listPage) Classes() []web.Option {
	return web.OrAny("All errors", p.Form.Get("reasonClass"), web.ClassChoices())
}

// Channels are the options of the channel filter.
func (p listPage) Channels() []web.Option {
	return web.OrAny("All channels", p.Form.Get("channel"), []web.Option{{Value: "http", Label: "HTTP"}, {Value: "email", Label: "Email"}})
}

// States are the options of the state filter.
func (p listPage) States() []web.Option {
	var out []web.Option
	for n := outboundv1.DeliveryState_WAITING; n <= outboundv1.DeliveryState_CANCELLED; n++ {
		out = append(out, web.Option{Value: n.String(), Label: strings.ToLower(n.String())})
	}
	return web.OrAny("All states", p.Form.Get("state"), out)
}

// Chosen are the active filters in words, each with the address of the list without it.
func (p listPage) Chosen() []chosen {
	labels := map[string]map[string]string{"recipientId": web.Labels(p.Known.recipients), "eventType": web.Labels(p.Known.types),
		"reasonClass": web.Labels(web.ClassChoices())}
	var out []chosen
	for _, name := range filterFields() {
		value := p.Form.Get(name)
		if value == "" {
			continue
		}
		without := pairs(p.Form, filterFields())
		without.Del(name)
		text := value
		if label := labels[name][value]; label != "" {
			text = label
		}
		if name == "state" {
			text = strings.ToLower(value)
		}
		out = append(out, chosen{Name: fieldWords(name), Value: text, Time: p.times[name], Without: at("/deliveries", without)})
	}
	return out
}

// chosen is an active filter.
type chosen struct {
	Name, Value, Without string
	// Time is the value if it is a time.
	Time *timestamppb.Timestamp
}

func fieldWords(name string) string {
	words := map[string]string{
		"recipientId": "recipient", "reasonClass": "error", "eventType": "event type", "applianceId": "appliance", "sessionId": "session",
		"externalKey": "external key", "eventId": "event", "replayId": "replay", "startTime": "since", "endTime": "before",
	}
	if w := words[name]; w != "" {
		return w
	}
	return name
}

// pairs returns the non-empty values of the named fields.
func pairs(f *web.Form, names []string) url.Values {
	q := url.Values{}
	for _, name := range names {
		if v := f.Get(name); v != "" {
			q.Set(name, v)
		}
	}
	return q
}

func at(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// readFilter reads the filter in a query. It adds invalid values as faults to the form.
func readFilter(q url.Values) (*web.Form, *outboundv1.ListDeliveriesRequest, error) {
	form, asked := &web.Form{Values: q}, &outboundv1.ListDeliveriesRequest{}
	if err := form.Read(asked, append(filterFields(), "pageSize")...); err != nil {
		return nil, nil, err
	}
	if asked.PageSize == 0 {
		asked.PageSize = rowsShown
	}
	asked.PageSize = min(asked.PageSize, rowsMost)
	asked.PageToken = q.Get("page")
	return form, asked, nil
}

func showList(r *web.Request) error {
	q := r.RangeFilter("startTime", "endTime")
	form, asked, err := readFilter(q)
	if err != nil {
		return err
	}
	p := listPage{Form: form, made: time.Now(), Ranges: r.RangeLinks("startTime", "endTime"), rangeKey: q.Get("range"),
		times: map[string]*timestamppb.Timestamp{"startTime": asked.GetStartTime(), "endTime": asked.GetEndTime()}}
	var answer *outboundv1.ListDeliveriesResponse
	var asking sync.WaitGroup
	asking.Go(func() { p.Known = choose(r.Context(), r.API) })
	if !form.Bad() {
		answer, err = r.API.Deliveries.ListDeliveries(r.Context(), asked)
	}
	asking.Wait()
	if err != nil && !form.Refused(err) {
		return err
	}
	p.Rows = rows(answer.GetDeliveries(), web.Labels(p.Known.types))
	p.address(asked, answer.GetNextPageToken())
	if form.Bad() {
		r.Status(http.StatusUnprocessableEntity)
		p.Tail, p.All = "", ""
	}
	return r.Render("list", p)
}

// address sets the addresses of the other pages.
func (p *listPage) address(asked *outboundv1.ListDeliveriesRequest, next string) {
	q := pairs(p.Form, filterFields())
	p.Filtered = len(q) > 0
	for name := range q {
		p.More = p.More || !slices.Contains(firstFields(), name) && (p.rangeKey == "" || p.times[name] == nil)
	}
	if n := p.Form.Get("pageSize"); n != "" {
		q.Set("pageSize", n)
	}
	p.Here = p.link(q)
	page := func(token string) string {
		q := pairs(p.Form, append(filterFields(), "pageSize"))
		q.Set("page", token)
		return at("/deliveries", q)
	}
	if next != "" {
		p.Next = page(next)
	}
	if asked.PageToken != "" {
		p.First = p.Here
	}
	// Waiting deliveries have no records, and no records are added to a time range in the past.
	if asked.PageToken == "" && asked.EndTime == nil && asked.State != outboundv1.DeliveryState_WAITING {
		q := pairs(p.Form, filterFields())
		q.Set("since", p.made.UTC().Format(time.RFC3339Nano))
		p.Tail = at("/part/deliveries/tail", q)
	}
	if p.NoReplay = whyNoReplay(asked); p.NoReplay.Text == "" {
		all := url.Values{"kind": {"deliveries"}}
		for name, values := range pairs(p.Form, filterFields()) {
			all["deliveries."+name] = values
		}
		p.All = at("/replays/new", all)
	}
}

// link returns the address of the list. It names the range if one was chosen, which goes on with the time.
func (p *listPage) link(q url.Values) string {
	if p.rangeKey == "" {
		return at("/deliveries", q)
	}
	out := maps.Clone(q)
	for name := range p.times {
		out.Del(name)
	}
	out.Set("range", p.rangeKey)
	return at("/deliveries", out)
}

// noReplay says why matching deliveries cannot be replayed and what to do. Href and Label are a link to the alternative.
type noReplay struct{ Text, Href, Label string }

// whyNoReplay reports why a filter cannot be replayed: a replay filters by neither event nor replay, and only on final states.
func whyNoReplay(asked *outboundv1.ListDeliveriesRequest) noReplay {
	switch {
	case asked.State == outboundv1.DeliveryState_WAITING || asked.State == outboundv1.DeliveryState_RETRYING:
		return noReplay{Text: "Replay all matching is not available: these deliveries are not final yet and are still being attempted. To " +
			"attempt retrying deliveries immediately, select them and choose Send now."}
	case asked.EventId != "":
		out := noReplay{Text: "Replay all matching is not available: a replay cannot be limited to one event. Select its deliveries and " +
			"choose Retry, or open the event and send it from there."}
		if _, _, whole := strings.Cut(asked.EventId, "~"); whole {
			out.Href, out.Label = "/events/"+url.PathEscape(asked.EventId), "Open the event"
		}
		return out
	case asked.ReplayId != "":
		return noReplay{
			Text: "Replay all matching is not available: a replay cannot be limited to another replay. Select deliveries and choose Retry, or " +
				"remove the replay from the filter and filter by recipient, state and time.",
			Href: "/replays/" + url.PathEscape(asked.ReplayId), Label: "Open the replay",
		}
	default:
		return noReplay{}
	}
}

func rows(of []*outboundv1.Delivery, types map[string]string) []row {
	out := make([]row, 0, len(of))
	for _, d := range of {
		label := types[d.GetEventType()]
		if label == "" {
			label = d.GetEventType()
		}
		out = append(out, row{Delivery: d, Type: label})
	}
	return out
}

// Any reports whether there is a recipient. It is true while the recipients are unavailable.
func (c choices) Any() bool { return c.recipients == nil || len(c.recipients) > 0 }
