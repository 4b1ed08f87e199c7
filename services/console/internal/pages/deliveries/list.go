package deliveries

import (
	"context"
	"hash/fnv"
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

// rowsShown is how many deliveries a page has unless its address says otherwise; rowsMost is how many one may have, and how many
// rows a page keeps while deliveries arrive.
const (
	rowsShown = 50
	rowsMost  = 200
)

// filterFields are the fields of ListDeliveriesRequest that a reader may filter by, in JSON's spelling, which is how the page's
// address spells them.
func filterFields() []string {
	return []string{
		"recipientId", "state", "reasonClass", "eventType", "channel", "applianceId", "sessionId", "externalKey", "eventId", "reason", "replayId",
		"startTime", "endTime",
	}
}

// firstFields are those that are always in sight; the others are below More.
func firstFields() []string { return []string{"recipientId", "state", "reasonClass", "eventType"} }

// row is a delivery in the list.
type row struct {
	*outboundv1.Delivery
	// Type is the event type as people read it.
	Type string
}

// Target names the delivery in forms.
func (r row) Target() string { return target(r.GetRecipientId(), r.GetEventId(), r.GetReplayId()) }

// ID is the row's in the page: the same for all records of one delivery.
func (r row) ID() string { return "d-" + hash(r.Target()) }

// Address is the delivery's page, EventAddress the event's, RecipientAddress the recipient's.
func (r row) Address() string { return address(r.GetRecipientId(), r.GetEventId(), r.GetReplayId()) }

// EventAddress is the event's page.
func (r row) EventAddress() string { return "/events/" + url.PathEscape(r.GetEventId()) }

// RecipientAddress is the recipient's page.
func (r row) RecipientAddress() string { return "/recipients/" + url.PathEscape(r.GetRecipientId()) }

// To is the recipient's name, or its id if it is gone.
func (r row) To() string {
	if r.GetRecipientDisplayName() != "" {
		return r.GetRecipientDisplayName()
	}
	return r.GetRecipientId()
}

// Time is when it was last tried, or accepted if it was not.
func (r row) Time() *timestamppb.Timestamp {
	if r.GetLastAttemptTime() != nil {
		return r.GetLastAttemptTime()
	}
	return r.GetAcceptTime()
}

// Bad reports whether there is an error to tell.
func (r row) Bad() bool {
	return r.GetReason() != "" && r.GetState() != outboundv1.DeliveryState_DELIVERED && r.GetState() != outboundv1.DeliveryState_WAITING
}

// Open reports whether it is not final.
func (r row) Open() bool {
	return r.GetState() == outboundv1.DeliveryState_WAITING || r.GetState() == outboundv1.DeliveryState_RETRYING
}

// Took is how long the last attempt took, in words.
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

// address is a delivery's page.
func address(recipient, event, replay string) string {
	return web.Address("/deliveries/"+url.PathEscape(recipient)+"/"+url.PathEscape(event), "replayId", replay)
}

// listPage is the list.
type listPage struct {
	Form  *web.Form
	Rows  []row
	Known choices
	// Next and First are the addresses of other pages.
	Next, First string
	// Tail is where new deliveries are told; empty where none can come.
	Tail string
	// All is where all that match can be sent again; empty where that cannot be, and Instead says why and what to do.
	All     string
	Instead instead
	// Filtered says that there is a filter, More that there is one below More.
	Filtered, More bool
	// Here is the page's address, without its place in the list.
	Here string
	// made is when the services were asked: what was recorded later is not in it.
	made time.Time
}

// choices are what the filter's fields offer.
type choices struct{ recipients, types []web.Option }

// choose asks the services what there is to choose from, at once.
func choose(ctx context.Context, api web.API) choices {
	var c choices
	var asking sync.WaitGroup
	asking.Go(func() { c.recipients = web.RecipientChoices(ctx, api) })
	asking.Go(func() { c.types = web.TypeChoices(ctx, api) })
	asking.Wait()
	return c
}

// Recipients, States, Classes, Types and Channels are what the filter's fields offer.
func (p listPage) Recipients() []web.Option {
	return web.OrAny("All recipients", p.Form.Get("recipientId"), p.Known.recipients)
}

// Types are the event types.
func (p listPage) Types() []web.Option {
	return web.OrAny("All event types", p.Form.Get("eventType"), p.Known.types)
}

// Classes are the classes of reasons.
func (p listPage) Classes() []web.Option {
	return web.OrAny("Any", p.Form.Get("reasonClass"), web.ClassChoices())
}

// Channels are the channels.
func (p listPage) Channels() []web.Option {
	return web.OrAny("Both", p.Form.Get("channel"), []web.Option{{Value: "http", Label: "HTTP"}, {Value: "email", Label: "Email"}})
}

// States are the states.
func (p listPage) States() []web.Option {
	var out []web.Option
	for n := outboundv1.DeliveryState_WAITING; n <= outboundv1.DeliveryState_CANCELLED; n++ {
		out = append(out, web.Option{Value: n.String(), Label: strings.ToLower(n.String())})
	}
	return web.OrAny("Any", p.Form.Get("state"), out)
}

// Chosen are the filters as they are set, in words, with the address of the list without each.
func (p listPage) Chosen() []chosen {
	labels := map[string]map[string]string{"recipientId": web.Labels(p.Known.recipients), "eventType": web.Labels(p.Known.types), "reasonClass": web.Labels(web.ClassChoices())}
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
		out = append(out, chosen{Name: fieldWords(name), Value: text, Without: at("/deliveries", without)})
	}
	return out
}

// chosen is a filter that is set.
type chosen struct{ Name, Value, Without string }

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

// pairs are what is set of some fields.
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

// readFilter reads the filter that an address has. What can't be read is noted in the form.
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
	form, asked, err := readFilter(r.URL.Query())
	if err != nil {
		return err
	}
	p := listPage{Form: form, made: time.Now()}
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

// address fills in where a reader may go from here.
func (p *listPage) address(asked *outboundv1.ListDeliveriesRequest, next string) {
	q := pairs(p.Form, filterFields())
	p.Filtered = len(q) > 0
	for name := range q {
		p.More = p.More || !slices.Contains(firstFields(), name)
	}
	if n := p.Form.Get("pageSize"); n != "" {
		q.Set("pageSize", n)
	}
	p.Here = at("/deliveries", q)
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
	// What waits has no record that could be told, and what is over is not added to.
	if asked.PageToken == "" && asked.EndTime == nil && asked.State != outboundv1.DeliveryState_WAITING {
		q := pairs(p.Form, filterFields())
		q.Set("since", p.made.UTC().Format(time.RFC3339Nano))
		p.Tail = at("/part/deliveries/tail", q)
	}
	if p.Instead = otherWay(asked); p.Instead.Text == "" {
		all := url.Values{"kind": {"deliveries"}}
		for name, values := range pairs(p.Form, filterFields()) {
			all["deliveries."+name] = values
		}
		p.All = at("/replays/new", all)
	}
}

// instead says why all that match cannot be sent again at once, and what can be done; Href and Label lead there.
type instead struct{ Text, Href, Label string }

// otherWay is what can be done where no replay can: replays know neither events nor other replays, and are about what has ended.
func otherWay(asked *outboundv1.ListDeliveriesRequest) instead {
	switch {
	case asked.State == outboundv1.DeliveryState_WAITING || asked.State == outboundv1.DeliveryState_RETRYING:
		return instead{Text: "All that match cannot be retried at once: they have not ended, and are sent anyhow. Tick those that are retrying and choose Send now to have them tried at once."}
	case asked.EventId != "":
		out := instead{Text: "All that match cannot be retried at once: a replay cannot be bound to one event. Tick its deliveries here and choose Retry, or open the event and send it from there."}
		if _, _, whole := strings.Cut(asked.EventId, "~"); whole {
			out.Href, out.Label = "/events/"+url.PathEscape(asked.EventId), "Open the event"
		}
		return out
	case asked.ReplayId != "":
		return instead{
			Text: "All that match cannot be retried at once: a replay cannot be bound to another replay. Tick deliveries here and choose Retry, or take the replay out of the filter and choose by recipient, state and time.",
			Href: "/replays/" + url.PathEscape(asked.ReplayId), Label: "Open the replay",
		}
	default:
		return instead{}
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

// Any reports whether there is a recipient. While that can't be told there is one.
func (c choices) Any() bool { return c.recipients == nil || len(c.recipients) > 0 }
