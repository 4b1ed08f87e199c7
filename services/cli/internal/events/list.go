package events

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
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/deliveries"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// eventFilter picks events.
type eventFilter struct {
	appliance, decision, eventType, session, externalKey, since, until string
	limit                                                              int
}

func (e *eventFilter) define(env *command.Env, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.appliance, "appliance", "", "filter by appliance")
	f.StringVar(&e.eventType, "type", "", "filter by event type")
	f.StringVar(&e.session, "session", "", "filter by session")
	f.StringVar(&e.externalKey, "external-key", "", "filter by external key")
	f.StringVar(&e.since, "since", "", "only events received at or after this time (RFC 3339), or within this duration, e.g. 2h")
	f.StringVar(&e.until, "until", "", "only events received before this time (RFC 3339), or longer ago than this duration, e.g. 30m")
	f.IntVar(&e.limit, "limit", 50, "maximum number to list")
	env.CompleteFlags(cmd, map[string]command.Completion{"appliance": command.CompleteAppliances, "type": command.CompleteEventTypes})
}

func (e *eventFilter) list(ctx context.Context, c *client.Client, now time.Time) (*outboundv1.ListEventsResponse, error) {
	query := url.Values{
		"applianceId": {e.appliance}, "eventType": {e.eventType}, "sessionId": {e.session}, "externalKey": {e.externalKey},
	}
	if e.decision != "" {
		word := strings.ToUpper(e.decision)
		if n, ok := outboundv1.Intake_Decision_value[word]; !ok || n == 0 {
			return nil, exit.Usagef("--decision %q is not known: use accepted or rejected", e.decision)
		}
		query.Set("decision", word)
	}
	for name, text := range map[string]string{"startTime": e.since, "endTime": e.until} {
		flag := map[string]string{"startTime": "--since", "endTime": "--until"}[name]
		at, err := command.Moment(flag, text, now)
		if err != nil {
			return nil, err
		}
		query.Set(name, at)
	}
	all := &outboundv1.ListEventsResponse{}
	err := client.EachPage(e.limit, func(size int, token string) (int, string, error) {
		page := &outboundv1.ListEventsResponse{}
		err := c.Call(ctx, http.MethodGet, "/v1/events?"+client.PageQuery(query, size, token), nil, page)
		all.Events = append(all.Events, page.GetEvents()...)
		all.NextPageToken = page.GetNextPageToken()
		return len(page.GetEvents()), page.GetNextPageToken(), err
	})
	return all, err
}

func listCommand(env *command.Env) *cobra.Command {
	var filter eventFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List received events with the intake decision, newest first", Args: command.Arguments(),
		Example: "  outbound events list --decision accepted --since 1h\n  outbound events list --appliance appliance-1 --session 0a1b",
	}
	filter.define(env, cmd)
	cmd.Flags().StringVar(&filter.decision, "decision", "", "filter by decision: accepted or rejected")
	env.CompleteFlags(cmd, map[string]command.Completion{"decision": command.Words("accepted", "rejected")})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := filter.list(ctx, c, time.Now())
		if err != nil {
			return err
		}
		return env.Show(all, func() *output.Table {
			t := &output.Table{Head: []string{"TIME", "EVENT", "TYPE", "SESSION", "DECISION", "VIA", "REASON"}}
			for _, e := range all.GetEvents() {
				t.Add(output.Clock(e.GetIntakeTime()), output.Dash(e.GetEventId()), output.Dash(e.GetEventType()), output.Dash(e.GetSessionId()),
					e.GetDecision().String(), e.GetVia(), output.Short(why(e)))
			}
			return t
		})
	})
	return cmd
}

func rejectedCommand(env *command.Env) *cobra.Command {
	filter := eventFilter{decision: "rejected"}
	cmd := &cobra.Command{
		Use:   "rejected",
		Short: "List invalid events with all errors and the payload",
		Long: "Rejected lists the events that failed validation, newest first, with an error for each field and the first 16 KiB of\n" +
			"the payload. With -o json and -o yaml the payload is in base64.",
		Example: "  outbound events rejected --since 1h\n  outbound events rejected --appliance appliance-1 -o json",
		Args:    command.Arguments(),
	}
	filter.define(env, cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := filter.list(ctx, c, time.Now())
		if err != nil {
			return err
		}
		return env.Show(all, func() *output.Table { return rejectedTable(all.GetEvents()) })
	})
	return cmd
}

func rejectedTable(events []*outboundv1.Event) *output.Table {
	t := &output.Table{Head: []string{"TIME", "APPLIANCE", "EVENT", "TYPE", "VIA", "FIELD", "REASON"}}
	for _, e := range events {
		first := []string{output.Clock(e.GetIntakeTime()), output.Dash(e.GetApplianceId()), output.Dash(e.GetEventId()),
			output.Dash(e.GetEventType()), output.Dash(e.GetVia())}
		reasons := make([][2]string, 0, len(e.GetViolations())+1)
		for _, v := range e.GetViolations() {
			what := v.GetReason()
			if v.GetDescription() != "" {
				what += ": " + v.GetDescription()
			}
			reasons = append(reasons, [2]string{output.Dash(v.GetField()), output.Short(what)})
		}
		if len(reasons) == 0 {
			reasons = append(reasons, [2]string{"-", "-"})
		}
		if raw := e.GetRaw(); len(raw) > 0 {
			reasons = append(reasons, [2]string{"payload", output.Short(string(raw))})
		}
		for _, r := range reasons {
			t.Add(slices.Concat(first, r[:])...)
			// The columns of the event are filled once.
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

func getCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "get EVENT", Short: "Show an event (APPLIANCE~ID), its timeline and its routing", Args: command.Arguments("EVENT"),
		Example: "  outbound events get appliance-1~e-1\n  outbound events get e-1 -o json",
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			e := &outboundv1.Event{}
			if err := c.Call(ctx, http.MethodGet, "/v1/events/"+url.PathEscape(args[0]), nil, e); err != nil {
				return err
			}
			if env.Structured() {
				return env.Show(e, nil)
			}
			return showEvent(env, e)
		}),
	}
}

func showEvent(env *command.Env, e *outboundv1.Event) error {
	facts := &output.Table{}
	for _, row := range [][2]string{
		{"event", e.GetEventId()}, {"type", e.GetEventType()}, {"appliance", e.GetApplianceId()}, {"session", e.GetSessionId()},
		{"external key", e.GetExternalKey()}, {"time", output.Clock(e.GetEventTime())},
		{strings.ToLower(e.GetDecision().String()), output.Clock(e.GetIntakeTime()) + " via " + output.Dash(e.GetVia())},
		{"payload", output.Short(string(e.GetRaw()))},
		{"stored", output.Short(e.GetCloudEventJson())},
	} {
		if row[1] != "" && row[1] != "-" {
			facts.Add(row[0], row[1])
		}
	}
	for _, v := range e.GetViolations() {
		facts.Add("error", v.GetField()+": "+v.GetDescription())
	}
	for _, x := range []struct {
		rows int
		make func() *output.Table
	}{
		{1, func() *output.Table { return facts }},
		{len(e.GetTimeline()), func() *output.Table { return timelineTable(e.GetTimeline()) }},
		{len(e.GetRoutes()), func() *output.Table { return routeTable(e.GetRoutes()) }},
		{len(e.GetDeliveries()), func() *output.Table { return deliveries.Table(e.GetDeliveries()) }},
	} {
		if x.rows == 0 {
			continue
		}
		if err := env.Print(x.make()); err != nil {
			return err
		}
		env.Say("")
	}
	return nil
}

func timelineTable(list []*outboundv1.TimelineEntry) *output.Table {
	t := &output.Table{Head: []string{"TIME", "ENTRY", "RECIPIENT", "STATE", "REASON"}}
	for _, x := range list {
		what := x.GetKind()
		if x.GetAttempt() > 0 {
			what = fmt.Sprintf("%s %d", what, x.GetAttempt())
		}
		if x.GetReplayId() != "" {
			what += " (replay " + x.GetReplayId() + ")"
		}
		said := deliveries.ReasonOf(x.GetReason(), x.GetDetail(), 0)
		if x.GetReason() == "" {
			said = x.GetDetail()
		}
		if x.GetActor() != "" {
			said += " (by " + x.GetActor() + ")"
		}
		t.Add(output.Clock(x.GetTime()), what, output.Dash(x.GetRecipientId()), stateWord(x.GetState()), output.Short(said))
	}
	return t
}

func routeTable(list []*outboundv1.Route) *output.Table {
	t := &output.Table{Head: []string{"RECIPIENT", "CHANNEL", "ROUTED", "STATE", "REASON"}}
	for _, x := range list {
		why := x.GetDetail()
		if why == "" {
			why = x.GetReason()
		}
		t.Add(output.Named(x.GetRecipientId(), x.GetDisplayName()), output.Dash(x.GetChannel()), output.Yes(x.GetMatched()),
			stateWord(x.GetState()), output.Short(why))
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
