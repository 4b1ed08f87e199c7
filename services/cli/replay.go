package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) replays() *cobra.Command {
	return group("replays", "Replay deliveries, or backfill past events to a recipient",
		a.replaysPreview(), a.replaysCreate(), a.replaysList(), a.replaysGet(), a.replaysCancel())
}

// replayFlags select the deliveries to replay.
type replayFlags struct {
	filter                          deliveryFilter
	to, backfillSince, backfillTill string
	includeDelivered                bool
	rate                            int32
	// rated says that --rate was given.
	rated func() bool
}

func (r *replayFlags) define(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.filter.recipient, "recipient", "", "filter by recipient")
	f.StringVar(&r.filter.state, "state", "", "filter by final state (default: expired, rejected and cancelled)")
	f.StringVar(&r.filter.eventType, "type", "", "filter by event type")
	f.StringVar(&r.filter.appliance, "appliance", "", "filter by appliance")
	f.StringVar(&r.filter.session, "session", "", "filter by session")
	f.StringVar(&r.filter.externalKey, "external-key", "", "filter by external key")
	f.StringVar(&r.filter.channel, "channel", "", "filter by channel: http or email")
	f.StringVar(&r.filter.reason, "reason", "", "filter by reason")
	f.StringVar(&r.filter.class, "class", "", "filter by reason class")
	f.StringVar(&r.filter.since, "since", "", "only deliveries that became final at or after this time (RFC 3339), or within this duration, e.g. 2h")
	f.StringVar(&r.filter.until, "until", "", "only deliveries that became final before this time (RFC 3339), or longer ago than this duration, e.g. 30m")
	f.StringVar(&r.backfillSince, "backfill-since", "", "backfill: send the events accepted since this time that the recipient of --to selects")
	f.StringVar(&r.backfillTill, "backfill-until", "", "end of the backfill (default: now)")
	f.BoolVar(&r.includeDelivered, "include-delivered", false, "backfill: include events that the recipient already has")
	f.StringVar(&r.to, "to", "", "send to this recipient (default: the original recipient)")
	f.Int32Var(&r.rate, "rate", 0, "deliveries queued per second, 1 to 1000 (default 50)")
	r.rated = func() bool { return f.Changed("rate") }
	a.completeFlags(cmd, map[string]completion{
		"recipient": completeRecipients, "to": completeRecipients, "type": completeEventTypes, "appliance": completeAppliances,
		"state": words("delivered", "expired", "rejected", "skipped", "cancelled"), "channel": words("http", "email"), "class": words(reasonClasses()...),
	})
}

// replay is what the flags say.
func (r *replayFlags) replay(now time.Time) (*outboundv1.Replay, error) {
	if r.rated() && r.rate < 1 {
		// The API takes 0 for the default.
		return nil, usage("--rate must be 1 to 1000 deliveries per second, not %d", r.rate)
	}
	out := &outboundv1.Replay{ToRecipientId: r.to, Rate: r.rate}
	if r.backfillSince != "" {
		if !r.filter.empty() {
			return nil, usage("give either a backfill or filters for deliveries, not both")
		}
		start, err := momentOf("--backfill-since", r.backfillSince, now)
		if err != nil {
			return nil, err
		}
		end, err := momentOf("--backfill-until", r.backfillTill, now)
		if err != nil {
			return nil, err
		}
		out.Source = &outboundv1.Replay_Backfill_{Backfill: &outboundv1.Replay_Backfill{StartTime: start, EndTime: end, IncludeDelivered: r.includeDelivered}}
		return out, nil
	}
	if r.filter.empty() {
		return nil, usage("nothing selected: give a filter, e.g. --recipient, or --backfill-since")
	}
	state := outboundv1.DeliveryState_State_value[strings.ToUpper(r.filter.state)]
	if r.filter.state != "" && state == 0 {
		return nil, usage("--state %q is not a final state: use delivered, expired, rejected, skipped or cancelled", r.filter.state)
	}
	start, err := momentOf("--since", r.filter.since, now)
	if err != nil {
		return nil, err
	}
	end, err := momentOf("--until", r.filter.until, now)
	if err != nil {
		return nil, err
	}
	out.Source = &outboundv1.Replay_Deliveries_{Deliveries: &outboundv1.Replay_Deliveries{
		RecipientId: r.filter.recipient, State: outboundv1.DeliveryState_State(state), EventType: r.filter.eventType, ApplianceId: r.filter.appliance,
		SessionId: r.filter.session, ExternalKey: r.filter.externalKey, Reason: r.filter.reason, ReasonClass: strings.ToLower(r.filter.class),
		Channel: strings.ToLower(r.filter.channel), StartTime: start, EndTime: end,
	}}
	return out, nil
}

func momentOf(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	written, err := moment(flag, text, now)
	if err != nil || written == "" {
		return nil, err
	}
	t, err := time.Parse(time.RFC3339Nano, written)
	return timestamppb.New(t), err
}

func (a *app) replaysPreview() *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "preview",
		Short: "Show what a replay would send, without sending it",
		Example: "  outbound replays preview --recipient ticket-system --since 24h\n" +
			"  outbound replays preview --to ticket-system --backfill-since 48h",
		Args: arguments(),
	}
	flags.define(a, cmd)
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		r, err := flags.replay(time.Now())
		if err != nil {
			return err
		}
		p := &outboundv1.PreviewReplayResponse{}
		if err := c.call(ctx, http.MethodPost, "/v1/replays:preview", r, p); err != nil {
			return err
		}
		return a.show(p, func() *table {
			more := ""
			if p.GetMore() {
				more = " or more"
			}
			t := &table{}
			t.add("deliveries", fmt.Sprint(p.GetCount(), more))
			t.add("already sent", fmt.Sprint(p.GetAlreadyDelivered()))
			t.add("unavailable", fmt.Sprint(p.GetUnavailable()))
			t.add("oldest", clock(p.GetOldestTime()))
			t.add("estimated time", p.GetEstimatedDuration().AsDuration().String())
			return t
		})
	})
	return cmd
}

func (a *app) replaysCreate() *cobra.Command {
	var flags replayFlags
	var detach bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Start a replay and wait until it is queued",
		Long: "Start a replay and wait until all its deliveries are queued. The server runs the replay: it continues if this command stops.\n" +
			"Use `outbound replays preview` to see what a replay would send.",
		Example: "  outbound replays create --recipient ticket-system --since 24h --rate 100\n" +
			"  outbound replays create --recipient old-system --state delivered --to new-system\n" +
			"  outbound replays create --to new-system --backfill-since 48h --detach",
		Args: arguments(),
	}
	flags.define(a, cmd)
	cmd.Flags().BoolVar(&detach, "detach", false, "do not wait until all is queued")
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		r, err := flags.replay(time.Now())
		if err != nil {
			return err
		}
		got := &outboundv1.Replay{}
		if err := c.call(ctx, http.MethodPost, "/v1/replays", r, got); err != nil {
			return err
		}
		if detach {
			return a.show(got, func() *table { return replayTable([]*outboundv1.Replay{got}) })
		}
		return a.await(ctx, c, got)
	})
	return cmd
}

// lookEvery is how often the progress of a replay is asked for.
const lookEvery = 500 * time.Millisecond

// await draws the progress of a replay until it has ended, then shows it. One that did not end well is an error.
func (a *app) await(ctx context.Context, c *client, r *outboundv1.Replay) error {
	drawn := a.progress()
	defer drawn.end()
	for r.GetState() == outboundv1.Replay_RUNNING {
		line := fmt.Sprintf("replay %s: %d of %d queued", r.GetId(), r.GetQueued(), r.GetTotal())
		if r.GetDetail() != "" {
			line += ": " + r.GetDetail()
		}
		drawn.show("%s", line)
		select {
		case <-ctx.Done():
			return fmt.Errorf("replay %s continues on the server: see outbound replays get, or cancel it: %w", r.GetId(), ctx.Err())
		case <-time.After(lookEvery):
		}
		next := &outboundv1.Replay{}
		if err := c.call(ctx, http.MethodGet, "/v1/replays/"+r.GetId(), nil, next); err != nil {
			return err
		}
		r = next
	}
	drawn.end()
	if err := a.show(r, func() *table { return replayTable([]*outboundv1.Replay{r}) }); err != nil {
		return err
	}
	if r.GetState() != outboundv1.Replay_DONE {
		return fmt.Errorf("replay %s is %s: %s", r.GetId(), r.GetState(), r.GetDetail())
	}
	return nil
}

func replayTable(list []*outboundv1.Replay) *table {
	t := &table{head: []string{"ID", "STATE", "TOTAL", "QUEUED", "UNAVAILABLE", "STARTED", "BY", "TO", "DETAIL"}}
	for _, r := range list {
		t.add(r.GetId(), r.GetState().String(), fmt.Sprint(r.GetTotal()), fmt.Sprint(r.GetQueued()), fmt.Sprint(r.GetUnavailable()),
			clock(r.GetCreateTime()), r.GetActor(), dash(r.GetToRecipientId()), dash(r.GetDetail()))
	}
	return t
}

func (a *app) replaysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List replays, newest first", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListReplaysResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/replays", nil, all); err != nil {
				return err
			}
			return a.show(all, func() *table { return replayTable(all.GetReplays()) })
		}),
	}
}

func (a *app) replaysGet() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{Use: "get REPLAY", Short: "Show the progress of a replay", Args: arguments("REPLAY")}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is finished and show its progress")
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		r := &outboundv1.Replay{}
		if err := c.call(ctx, http.MethodGet, "/v1/replays/"+url.PathEscape(args[0]), nil, r); err != nil {
			return err
		}
		if wait {
			return a.await(ctx, c, r)
		}
		return a.show(r, func() *table { return replayTable([]*outboundv1.Replay{r}) })
	})
	return cmd
}

func (a *app) replaysCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel REPLAY", Short: "Cancel a replay (already queued deliveries still go out)", Args: arguments("REPLAY"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			r := &outboundv1.Replay{}
			if err := c.call(ctx, http.MethodPost, "/v1/replays/"+url.PathEscape(args[0])+":cancel", nil, r); err != nil {
				return err
			}
			return a.show(r, func() *table { return replayTable([]*outboundv1.Replay{r}) })
		}),
	}
}

// errNothingChanged reports that none of the named deliveries was changed.
var errNothingChanged = errors.New("nothing was changed")
