package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) events() *cobra.Command {
	return group("events", "Publish events and see what intake decided", a.eventsPublish(), a.eventsList(), a.eventsGet())
}

// newEvent is an event made from flags.
type newEvent struct {
	file, appliance, eventType, id, session, externalKey, at string
	set, custom                                              []string
}

func (a *app) eventsPublish() *cobra.Command {
	var n newEvent
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Publish one event, from a file or from flags",
		Example: "  outbound events publish -f event.json\n" +
			"  outbound events publish --appliance appliance-1 --event support_conference_end --session 8f0c --external-key INC-1",
		Args: arguments(),
	}
	f := cmd.Flags()
	f.StringVarP(&n.file, "file", "f", "", "file with a CloudEvent in JSON, sent to the byte; - is standard input")
	f.StringVar(&n.appliance, "appliance", "", "appliance, the event's source")
	f.StringVar(&n.eventType, "event", "", "event type")
	f.StringVar(&n.id, "id", "", "id among the events of its appliance (default: a new one)")
	f.StringVar(&n.session, "session", "", "session (lsid)")
	f.StringVar(&n.externalKey, "external-key", "", "the session's external key")
	f.StringVar(&n.at, "time", "", "when it happened, RFC 3339 (default: now)")
	f.StringArrayVar(&n.set, "set", nil, "variable, as in name=value; may be repeated")
	f.StringArrayVar(&n.custom, "custom", nil, "custom field, as in code_name=value; may be repeated")
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		raw, err := n.body(a)
		if err != nil {
			return err
		}
		resp, err := c.publish(ctx, raw)
		if err != nil {
			return err
		}
		return a.show(resp, func() *table {
			return &table{
				head: []string{"EVENT", "SEQUENCE", "DUPLICATE"},
				rows: [][]string{{resp.GetEventId(), strconv.FormatUint(resp.GetSequence(), 10), yes(resp.GetDuplicate())}},
			}
		})
	})
	return cmd
}

func (n *newEvent) body(a *app) ([]byte, error) {
	if n.file != "" {
		if n.appliance != "" || n.eventType != "" || len(n.set) > 0 || len(n.custom) > 0 {
			return nil, usage("give the event by -f or by flags, not by both")
		}
		return readInput(n.file, a.In)
	}
	if n.appliance == "" || n.eventType == "" {
		return nil, usage("events publish needs -f FILE, or --appliance and --event")
	}
	data, err := pairs(n.set)
	if err != nil {
		return nil, err
	}
	custom, err := pairs(n.custom)
	if err != nil {
		return nil, err
	}
	if n.id == "" {
		n.id = ulid.Make().String()
	}
	if n.at == "" {
		n.at = time.Now().UTC().Format(time.RFC3339Nano)
	}
	return cloudEvent{
		ID: n.id, Source: n.appliance, Type: n.eventType, Time: n.at, Subject: n.session,
		externalKey: n.externalKey, custom: custom, variables: data,
	}.encode()
}

// cloudEvent is an event on the wire.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Time            string `json:"time,omitempty"`
	Subject         string `json:"subject,omitempty"`
	DataContentType string `json:"datacontenttype"`
	Data            tree   `json:"data"`

	externalKey       string
	custom, variables tree
}

func (e cloudEvent) encode() ([]byte, error) {
	e.SpecVersion, e.DataContentType = "1.0", "application/json"
	e.Data = tree{}
	maps.Copy(e.Data, e.variables)
	if e.externalKey != "" {
		e.Data["external_key"] = e.externalKey
	}
	if len(e.custom) > 0 {
		e.Data["custom_fields"] = e.custom
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write the event: %w", err)
	}
	return raw, nil
}

func (c *client) publish(ctx context.Context, raw []byte) (*outboundv1.PublishEventResponse, error) {
	answer, err := c.send(ctx, http.MethodPost, "/v1/events", raw)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.PublishEventResponse{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer, resp); err != nil {
		return nil, fmt.Errorf("read the answer to the event: %w", err)
	}
	return resp, nil
}

func (a *app) eventsList() *cobra.Command {
	var appliance, decision string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List what intake decided, newest first", Args: arguments()}
	cmd.Flags().StringVar(&appliance, "appliance", "", "only those of this appliance")
	cmd.Flags().StringVar(&decision, "decision", "", "only accepted or only rejected ones")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		query := url.Values{"applianceId": {appliance}}
		if decision != "" {
			word := strings.ToUpper(decision)
			if n, ok := outboundv1.Intake_Decision_value[word]; !ok || n == 0 {
				return usage("--decision is accepted or rejected, not %q", decision)
			}
			query.Set("decision", word)
		}
		all := &outboundv1.ListEventsResponse{}
		err := pages(limit, func(size int, token string) (int, string, error) {
			page := &outboundv1.ListEventsResponse{}
			err := c.call(ctx, http.MethodGet, "/v1/events?"+pageQuery(query, size, token), nil, page)
			all.Events = append(all.Events, page.GetEvents()...)
			all.NextPageToken = page.GetNextPageToken()
			return len(page.GetEvents()), page.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		return a.show(all, func() *table {
			t := &table{head: []string{"TIME", "EVENT", "TYPE", "SESSION", "DECISION", "VIA", "WHY"}}
			for _, e := range all.GetEvents() {
				t.add(clock(e.GetIntakeTime()), dash(e.GetEventId()), dash(e.GetEventType()), dash(e.GetSessionId()),
					e.GetDecision().String(), e.GetVia(), short(why(e)))
			}
			return t
		})
	})
	return cmd
}

func why(e *outboundv1.Event) string {
	out := make([]string, 0, len(e.GetViolations()))
	for _, v := range e.GetViolations() {
		out = append(out, v.GetField()+": "+v.GetReason())
	}
	return strings.Join(out, ", ")
}

func (a *app) eventsGet() *cobra.Command {
	return &cobra.Command{
		Use: "get EVENT", Short: "Show an event (APPLIANCE~ID) with its deliveries", Args: arguments("EVENT"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			e := &outboundv1.Event{}
			if err := c.call(ctx, http.MethodGet, "/v1/events/"+url.PathEscape(args[0]), nil, e); err != nil {
				return err
			}
			if a.output != "table" {
				return a.show(e, nil)
			}
			deliveries := e.GetDeliveries()
			e.Deliveries = nil
			if err := a.showFields(e); err != nil {
				return err
			}
			a.say("")
			return a.print(deliveryTable(deliveries))
		}),
	}
}

// pages asks for pages until limit is reached or there are no more.
func pages(limit int, ask func(size int, token string) (got int, next string, err error)) error {
	if limit < 1 {
		return usage("--limit is at least 1")
	}
	token := ""
	for limit > 0 {
		got, next, err := ask(min(limit, 1000), token)
		if err != nil {
			return err
		}
		limit -= got
		if token = next; token == "" {
			return nil
		}
	}
	return nil
}

// pageQuery is a query without its empty values, for one page.
func pageQuery(base url.Values, size int, token string) string {
	q := url.Values{"pageSize": {strconv.Itoa(size)}}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if v := base.Get(name); v != "" {
			q.Set(name, v)
		}
	}
	if token != "" {
		q.Set("pageToken", token)
	}
	return q.Encode()
}
