package deliveries

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// replayFlags select what is sent again.
type replayFlags struct {
	filter                          deliveryFilter
	to, backfillSince, backfillTill string
	includeDelivered                bool
	rate                            int32
	// rated reports whether --rate was given.
	rated func() bool
}

func (r *replayFlags) define(env *command.Env, cmd *cobra.Command) {
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
	f.StringVar(&r.filter.since, "since", "",
		"only deliveries that became final at or after this time (RFC 3339), or within this duration, e.g. 2h")
	f.StringVar(&r.filter.until, "until", "",
		"only deliveries that became final before this time (RFC 3339), or longer ago than this duration, e.g. 30m")
	f.StringVar(&r.backfillSince, "backfill-since", "",
		"backfill: send the events accepted since this time that the recipient of --to selects")
	f.StringVar(&r.backfillTill, "backfill-until", "", "end of the backfill (default: now)")
	f.BoolVar(&r.includeDelivered, "include-delivered", false, "backfill: include events that the recipient already has")
	f.StringVar(&r.to, "to", "", "send to this recipient (default: the original recipient)")
	f.Int32Var(&r.rate, "rate", 0, "deliveries queued per second, 1 to 1000 (default 50)")
	r.rated = func() bool { return f.Changed("rate") }
	env.CompleteFlags(cmd, map[string]command.Completion{
		"recipient": command.CompleteRecipients, "to": command.CompleteRecipients, "type": command.CompleteEventTypes,
		"appliance": command.CompleteAppliances,
		"state":     command.Words("delivered", "expired", "rejected", "skipped", "cancelled"),
		"channel":   command.Words("http", "email"), "class": command.Words(reasonClasses()...),
	})
}

// replay returns the replay that the flags describe.
func (r *replayFlags) replay(now time.Time) (*outboundv1.Replay, error) {
	if r.rated() && r.rate < 1 {
		// The API takes 0 for the default.
		return nil, exit.Usagef("--rate must be 1 to 1000 deliveries per second, not %d", r.rate)
	}
	out := &outboundv1.Replay{ToRecipientId: r.to, Rate: r.rate}
	if r.backfillSince != "" {
		if !r.filter.empty() {
			return nil, exit.Usagef("give either a backfill or filters for deliveries, not both")
		}
		start, err := command.MomentOf("--backfill-since", r.backfillSince, now)
		if err != nil {
			return nil, err
		}
		end, err := command.MomentOf("--backfill-until", r.backfillTill, now)
		if err != nil {
			return nil, err
		}
		out.Source = &outboundv1.Replay_Backfill_{Backfill: &outboundv1.Replay_Backfill{StartTime: start, EndTime: end,
			IncludeDelivered: r.includeDelivered}}
		return out, nil
	}
	if r.filter.empty() {
		return nil, exit.Usagef("nothing selected: give a filter, e.g. --recipient, or --backfill-since")
	}
	state := outboundv1.DeliveryState_State_value[strings.ToUpper(r.filter.state)]
	if r.filter.state != "" && state == 0 {
		return nil, exit.Usagef("--state %q is not a final state: use delivered, expired, rejected, skipped or cancelled", r.filter.state)
	}
	start, err := command.MomentOf("--since", r.filter.since, now)
	if err != nil {
		return nil, err
	}
	end, err := command.MomentOf("--until", r.filter.until, now)
	if err != nil {
		return nil, err
	}
	out.Source = &outboundv1.Replay_Deliveries_{Deliveries: &outboundv1.Replay_Deliveries{
		RecipientId: r.filter.recipient, State: outboundv1.DeliveryState_State(state), EventType: r.filter.eventType,
		ApplianceId: r.filter.appliance,
		SessionId:   r.filter.session, ExternalKey: r.filter.externalKey, Reason: r.filter.reason, ReasonClass: strings.ToLower(r.filter.class),
		Channel: strings.ToLower(r.filter.channel), StartTime: start, EndTime: end,
	}}
	return out, nil
}
