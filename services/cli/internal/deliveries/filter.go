package deliveries

import (
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// deliveryFilter picks deliveries.
type deliveryFilter struct {
	recipient, state, event, eventType, appliance, session, externalKey string
	channel, reason, class, replay                                      string
	since, until                                                        string
	limit                                                               int
}

// define adds the flags that lists and tails share.
func (d *deliveryFilter) define(env *command.Env, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.recipient, "recipient", "", "filter by recipient")
	f.StringVar(&d.state, "state", "", "filter by state: waiting, retrying, delivered, expired, rejected, skipped, cancelled")
	f.StringVar(&d.event, "event", "", "filter by event (APPLIANCE~ID, or only the ID)")
	f.StringVar(&d.eventType, "type", "", "filter by event type")
	f.StringVar(&d.appliance, "appliance", "", "filter by appliance")
	f.StringVar(&d.session, "session", "", "filter by session")
	f.StringVar(&d.externalKey, "external-key", "", "filter by external key")
	f.StringVar(&d.channel, "channel", "", "filter by channel: http or email")
	f.StringVar(&d.reason, "reason", "", "filter by reason, e.g. http_status")
	f.StringVar(&d.class, "class", "", "filter by reason class, e.g. network, tls, timeout, http_5xx, smtp_refused")
	f.StringVar(&d.replay, "replay", "", "filter by replay")
	env.CompleteFlags(cmd, map[string]command.Completion{
		"recipient": command.CompleteRecipients, "type": command.CompleteEventTypes, "appliance": command.CompleteAppliances,
		"state": command.Words(deliveryStates()...), "channel": command.Words("http", "email"), "class": command.Words(reasonClasses()...),
	})
}

// defineList adds the flags of lists.
func (d *deliveryFilter) defineList(cmd *cobra.Command, limit int) {
	f := cmd.Flags()
	f.StringVar(&d.since, "since", "", "only deliveries updated at or after this time (RFC 3339), or within this duration, e.g. 2h")
	f.StringVar(&d.until, "until", "", "only deliveries updated before this time (RFC 3339), or longer ago than this duration, e.g. 30m")
	f.IntVar(&d.limit, "limit", limit, "maximum number to list")
}

// deliveryStates lists the words of --state.
func deliveryStates() []string {
	return []string{"waiting", "retrying", "delivered", "expired", "rejected", "skipped", "cancelled"}
}

// reasonClasses lists the words of --class, as the API has them.
func reasonClasses() []string {
	return []string{
		"ok", "network", "tls", "timeout", "http_4xx", "http_5xx", "http_other", "smtp_deferred", "smtp_refused", "auth", "egress",
		"render", "not_wanted", "expired", "cancelled", "other",
	}
}

func (d *deliveryFilter) query(now time.Time) (url.Values, error) {
	state := strings.ToUpper(d.state)
	if state != "" {
		if n, ok := outboundv1.DeliveryState_State_value[state]; !ok || n == 0 {
			return nil, exit.Usagef("--state %q is not a state: %s", d.state, strings.Join(deliveryStates(), ", "))
		}
	}
	since, err := command.Moment("--since", d.since, now)
	if err != nil {
		return nil, err
	}
	until, err := command.Moment("--until", d.until, now)
	if err != nil {
		return nil, err
	}
	return url.Values{
		"recipientId": {d.recipient}, "state": {state}, "eventId": {d.event}, "eventType": {d.eventType},
		"applianceId": {d.appliance}, "sessionId": {d.session}, "externalKey": {d.externalKey},
		"channel": {strings.ToLower(d.channel)}, "reason": {d.reason}, "reasonClass": {strings.ToLower(d.class)}, "replayId": {d.replay},
		"startTime": {since}, "endTime": {until},
	}, nil
}

// empty reports whether no filter is set.
func (d *deliveryFilter) empty() bool {
	return *d == deliveryFilter{limit: d.limit}
}
