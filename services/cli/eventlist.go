package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// eventFilter picks events.
type eventFilter struct {
	appliance, decision, eventType, session, externalKey, since, until string
	limit                                                              int
}

func (e *eventFilter) define(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.appliance, "appliance", "", "filter by appliance")
	f.StringVar(&e.eventType, "type", "", "filter by event type")
	f.StringVar(&e.session, "session", "", "filter by session")
	f.StringVar(&e.externalKey, "external-key", "", "filter by external key")
	f.StringVar(&e.since, "since", "", "only events received at or after this time (RFC 3339), or within this duration, e.g. 2h")
	f.StringVar(&e.until, "until", "", "only events received before this time (RFC 3339), or longer ago than this duration, e.g. 30m")
	f.IntVar(&e.limit, "limit", 50, "maximum number to list")
	a.completeFlags(cmd, map[string]completion{"appliance": completeAppliances, "type": completeEventTypes})
}

func (e *eventFilter) list(ctx context.Context, c *client, now time.Time) (*outboundv1.ListEventsResponse, error) {
	query := url.Values{
		"applianceId": {e.appliance}, "eventType": {e.eventType}, "sessionId": {e.session}, "externalKey": {e.externalKey},
	}
	if e.decision != "" {
		word := strings.ToUpper(e.decision)
		if n, ok := outboundv1.Intake_Decision_value[word]; !ok || n == 0 {
			return nil, usage("--decision %q is not known: use accepted or rejected", e.decision)
		}
		query.Set("decision", word)
	}
	for name, text := range map[string]string{"startTime": e.since, "endTime": e.until} {
		flag := map[string]string{"startTime": "--since", "endTime": "--until"}[name]
		at, err := moment(flag, text, now)
		if err != nil {
			return nil, err
		}
		query.Set(name, at)
	}
	all := &outboundv1.ListEventsResponse{}
	err := pages(e.limit, func(size int, token string) (int, string, error) {
		page := &outboundv1.ListEventsResponse{}
		err := c.call(ctx, http.MethodGet, "/v1/events?"+pageQuery(query, size, token), nil, page)
		all.Events = append(all.Events, page.GetEvents()...)
		all.NextPageToken = page.GetNextPageToken()
		return len(page.GetEvents()), page.GetNextPageToken(), err
	})
	return all, err
}

func (a *app) eventsList() *cobra.Command {
	var filter eventFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List received events with the intake decision, newest first", Args: arguments(),
		Example: "  outbound events list --decision accepted --since 1h\n  outbound events list --appliance appliance-1 --session 0a1b",
	}
	filter.define(a, cmd)
	cmd.Flags().StringVar(&filter.decision, "decision", "", "filter by decision: accepted or rejected")
	a.completeFlags(cmd, map[string]completion{"decision": words("accepted", "rejected")})
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		all, err := filter.list(ctx, c, time.Now())
		if err != nil {
			return err
		}
		return a.show(all, func() *table {
			t := &table{head: []string{"TIME", "EVENT", "TYPE", "SESSION", "DECISION", "VIA", "REASON"}}
			for _, e := range all.GetEvents() {
				t.add(clock(e.GetIntakeTime()), dash(e.GetEventId()), dash(e.GetEventType()), dash(e.GetSessionId()),
					e.GetDecision().String(), e.GetVia(), short(why(e)))
			}
			return t
		})
	})
	return cmd
}

func (a *app) eventsRejected() *cobra.Command {
	filter := eventFilter{decision: "rejected"}
	cmd := &cobra.Command{
		Use:   "rejected",
		Short: "List invalid events with all errors and the payload",
		Long: "Rejected lists the events that failed validation, newest first, with an error for each field and the first 16 KiB of\n" +
			"the payload. With -o json and -o yaml the payload is in base64.",
		Example: "  outbound events rejected --since 1h\n  outbound events rejected --appliance appliance-1 -o json",
		Args:    arguments(),
	}
	filter.define(a, cmd)
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		all, err := filter.list(ctx, c, time.Now())
		if err != nil {
			return err
		}
		return a.show(all, func() *table { return rejectedTable(all.GetEvents()) })
	})
	return cmd
}

func rejectedTable(events []*outboundv1.Event) *table {
	t := &table{head: []string{"TIME", "APPLIANCE", "EVENT", "TYPE", "VIA", "FIELD", "REASON"}}
	for _, e := range events {
		first := []string{clock(e.GetIntakeTime()), dash(e.GetApplianceId()), dash(e.GetEventId()), dash(e.GetEventType()), dash(e.GetVia())}
		reasons := make([][2]string, 0, len(e.GetViolations())+1)
		for _, v := range e.GetViolations() {
			what := v.GetReason()
			if v.GetDescription() != "" {
				what += ": " + v.GetDescription()
			}
			reasons = append(reasons, [2]string{dash(v.GetField()), short(what)})
		}
		if len(reasons) == 0 {
			reasons = append(reasons, [2]string{"-", "-"})
		}
		if raw := e.GetRaw(); len(raw) > 0 {
			reasons = append(reasons, [2]string{"payload", short(string(raw))})
		}
		for _, r := range reasons {
			t.add(slices.Concat(first, r[:])...)
			// What is the same is said once.
			first = []string{"", "", "", "", ""}
		}
	}
	return t
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
		Use: "get EVENT", Short: "Show an event (APPLIANCE~ID), its timeline and its routing", Args: arguments("EVENT"),
		Example: "  outbound events get appliance-1~e-1\n  outbound events get e-1 -o json",
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			e := &outboundv1.Event{}
			if err := c.call(ctx, http.MethodGet, "/v1/events/"+url.PathEscape(args[0]), nil, e); err != nil {
				return err
			}
			if a.output != "table" {
				return a.show(e, nil)
			}
			return a.showEvent(e)
		}),
	}
}

func (a *app) showEvent(e *outboundv1.Event) error {
	facts := &table{}
	for _, row := range [][2]string{
		{"event", e.GetEventId()}, {"type", e.GetEventType()}, {"appliance", e.GetApplianceId()}, {"session", e.GetSessionId()},
		{"external key", e.GetExternalKey()}, {"time", clock(e.GetEventTime())},
		{strings.ToLower(e.GetDecision().String()), clock(e.GetIntakeTime()) + " via " + dash(e.GetVia())}, {"payload", short(string(e.GetRaw()))},
		{"stored", short(e.GetCloudEventJson())},
	} {
		if row[1] != "" && row[1] != "-" {
			facts.add(row[0], row[1])
		}
	}
	for _, v := range e.GetViolations() {
		facts.add("error", v.GetField()+": "+v.GetDescription())
	}
	for _, x := range []struct {
		rows int
		make func() *table
	}{
		{1, func() *table { return facts }},
		{len(e.GetTimeline()), func() *table { return timelineTable(e.GetTimeline()) }},
		{len(e.GetRoutes()), func() *table { return routeTable(e.GetRoutes()) }},
		{len(e.GetDeliveries()), func() *table { return deliveryTable(e.GetDeliveries()) }},
	} {
		if x.rows == 0 {
			continue
		}
		if err := a.print(x.make()); err != nil {
			return err
		}
		a.say("")
	}
	return nil
}

func timelineTable(list []*outboundv1.TimelineEntry) *table {
	t := &table{head: []string{"TIME", "ENTRY", "RECIPIENT", "STATE", "REASON"}}
	for _, x := range list {
		what := x.GetKind()
		if x.GetAttempt() > 0 {
			what = fmt.Sprintf("%s %d", what, x.GetAttempt())
		}
		if x.GetReplayId() != "" {
			what += " (replay " + x.GetReplayId() + ")"
		}
		said := reasonOf(x.GetReason(), x.GetDetail(), 0)
		if x.GetReason() == "" {
			said = x.GetDetail()
		}
		if x.GetActor() != "" {
			said += " (by " + x.GetActor() + ")"
		}
		t.add(clock(x.GetTime()), what, dash(x.GetRecipientId()), stateWord(x.GetState()), short(said))
	}
	return t
}

func routeTable(list []*outboundv1.Route) *table {
	t := &table{head: []string{"RECIPIENT", "CHANNEL", "ROUTED", "STATE", "REASON"}}
	for _, x := range list {
		why := x.GetDetail()
		if why == "" {
			why = x.GetReason()
		}
		t.add(named(x.GetRecipientId(), x.GetDisplayName()), dash(x.GetChannel()), yes(x.GetMatched()), stateWord(x.GetState()), short(why))
	}
	return t
}

// stateWord is a state, or a dash if there is none.
func stateWord(s outboundv1.DeliveryState_State) string {
	if s == outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		return "-"
	}
	return s.String()
}
