package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func status(env *command.Env) *cobra.Command {
	var recipient string
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show the status of the system", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			query := url.Values{}
			if recipient != "" {
				query.Set("recipientId", recipient)
			}
			if watch {
				return watchStatus(ctx, env, c, "/v1/status:watch?"+query.Encode())
			}
			s := &outboundv1.Status{}
			if err := c.Call(ctx, http.MethodGet, "/v1/status?"+query.Encode(), nil, s); err != nil {
				return err
			}
			return showOne(env, s)
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "watch for changes of recipients")
	cmd.Flags().StringVar(&recipient, "recipient", "", "show only this recipient")
	return cmd
}

func showOne(env *command.Env, s *outboundv1.Status) error {
	if env.Structured() {
		return env.Show(s, nil)
	}
	return showStatus(env, s)
}

// watchStatus shows the status, and again each time that a recipient's health changes, until it is interrupted.
func watchStatus(ctx context.Context, env *command.Env, c *client.Client, path string) error {
	shown := ""
	each := func(m proto.Message) error {
		s, ok := m.(*outboundv1.Status)
		if !ok {
			return fmt.Errorf("decode a line of the stream: not a status: %T", m)
		}
		now := statusText(s)
		if now == shown {
			// A stream that is asked for again begins with the current status.
			return nil
		}
		if shown != "" {
			env.Say("")
		}
		shown = now
		if env.Structured() {
			return env.ShowLine(s)
		}
		return showStatus(env, s)
	}
	return env.Follow(ctx, c, client.Subscription{Path: path, Next: func() proto.Message { return &outboundv1.Status{} }, Each: each})
}

// statusText is a text that changes with the health of recipients. Queues and attempts are not part of it.
func statusText(s *outboundv1.Status) string {
	out := "status " + s.GetRelay().GetLine()
	for _, r := range s.GetRecipients() {
		out += fmt.Sprintf("\n%s %s %s %s %t %s", r.GetRecipientId(), r.GetHealth(), output.Clock(r.GetFailingSinceTime()),
			r.GetLastReason(), r.GetBreakerOpen(), output.Clock(r.GetLastAlertTime()))
	}
	return out
}

func showStatus(env *command.Env, s *outboundv1.Status) error {
	env.Say("Outbound %s", s.GetVersion())
	for _, n := range s.GetNotices() {
		env.Say("notice: %s", n)
	}
	if line := s.GetRelay().GetLine(); line != "" {
		env.Say("SMTP relay: %s", line)
	}
	env.Say("")
	recipients := &output.Table{Head: []string{"RECIPIENT", "HEALTH", "SINCE", "QUEUED", "OLDEST", "LAST ATTEMPT", "NEXT ATTEMPT",
		"LAST ERROR"}}
	for _, r := range s.GetRecipients() {
		recipients.Add(r.GetRecipientId(), r.GetHealth().String(), output.Clock(r.GetFailingSinceTime()),
			fmt.Sprint(r.GetQueuedEvents()), output.Clock(r.GetOldestQueuedTime()),
			output.Clock(r.GetLastAttemptTime()), output.Clock(r.GetNextAttemptTime()), output.Dash(output.Short(r.GetLastError())))
	}
	if err := env.Print(recipients); err != nil {
		return err
	}
	showPaused(env, s.GetRecipients())
	env.Say("")
	streams := &output.Table{Head: []string{"STREAM", "MESSAGES", "LIMIT", "BYTES", "LIMIT", "USED", "SINCE", "RETENTION", "LAST"}}
	for _, x := range s.GetStreams() {
		streams.Add(x.GetName(), fmt.Sprint(x.GetMessages()), most(x.GetMaxMessages()), output.Size(x.GetBytes()),
			output.Size(x.GetMaxBytes()), fmt.Sprintf("%d %%", x.GetUsedPercent()),
			output.Clock(x.GetFirstTime()), days(x.GetMaxAge().AsDuration()), fmt.Sprint(x.GetLastSequence()))
	}
	if err := env.Print(streams); err != nil {
		return err
	}
	showStorage(env, s)
	return showServices(env, s)
}

// showPaused says which recipients are paused by their breakers or held, and what was skipped of those that are disabled.
func showPaused(env *command.Env, all []*outboundv1.RecipientStatus) {
	for _, r := range all {
		switch {
		case r.GetMaintenanceUntilTime() != nil:
			env.Say("%s: %s", r.GetRecipientId(), inMaintenance(r, time.Now()))
		case r.GetDrainRate() > 0:
			env.Say("%s: sends what maintenance held at %d per second, %d waiting", r.GetRecipientId(), r.GetDrainRate(), r.GetQueuedEvents())
		case r.GetBreakerOpen():
			env.Say("%s: %s", r.GetRecipientId(), breaker(r))
		case r.GetHealth() == outboundv1.RecipientHealth_PAUSED && r.GetQueuedEvents() > 0:
			env.Say("%s: paused, %d held, the oldest since %s", r.GetRecipientId(), r.GetQueuedEvents(), output.Clock(r.GetOldestQueuedTime()))
		case r.GetHealth() == outboundv1.RecipientHealth_DISABLED && r.GetSkippedSinceTime() != nil:
			env.Say("%s: disabled, %d skipped since %s", r.GetRecipientId(), r.GetSkippedEvents(), output.Clock(r.GetSkippedSinceTime()))
		}
	}
}

// inMaintenance says until when a maintenance window holds deliveries.
func inMaintenance(r *outboundv1.RecipientStatus, now time.Time) string {
	zone, err := maintenance.Zone(r.GetMaintenanceTimeZone())
	if err != nil {
		zone = time.UTC
	}
	return fmt.Sprintf("in maintenance until %s, %d waiting", maintenance.TimeIn(r.GetMaintenanceUntilTime().AsTime(), now, zone),
		r.GetQueuedEvents())
}

// breaker says that a recipient is paused by its breaker. A server of an earlier version does not say since when.
func breaker(r *outboundv1.RecipientStatus) string {
	if r.GetBreakerSinceTime() == nil {
		return fmt.Sprintf("paused by the breaker, %d waiting", r.GetQueuedEvents())
	}
	text := fmt.Sprintf("paused by the breaker since %s, probing every %s, %d waiting", output.Clock(r.GetBreakerSinceTime()),
		r.GetProbeInterval().AsDuration(), r.GetQueuedEvents())
	if r.GetNextProbeTime() != nil {
		text += ", next probe at " + output.Clock(r.GetNextProbeTime())
	}
	return text
}

func most(n uint64) string {
	if n == 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// days is how long a stream keeps its messages.
func days(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
	return d.String()
}

// showStorage shows the disk usage of the streams, and whether the disk has room for their limit.
func showStorage(env *command.Env, s *outboundv1.Status) {
	d := s.GetDisk()
	if d == nil {
		return
	}
	line := fmt.Sprintf("disk: the streams use %s of %s", output.Size(d.GetUsedBytes()), output.Size(d.GetLimitBytes()))
	switch {
	case !d.GetFreeKnown():
		line += "; free space is not known for an external broker"
	case d.GetLimitBytes() > d.GetUsedBytes() && d.GetFreeBytes() < d.GetLimitBytes()-d.GetUsedBytes():
		line += fmt.Sprintf("; %s free, which is less than the streams may still use", output.Size(d.GetFreeBytes()))
	default:
		line += fmt.Sprintf("; %s free", output.Size(d.GetFreeBytes()))
	}
	env.Say("%s", line)
}

// applianceTable lists when appliances were last heard from.
func applianceTable(s *outboundv1.Status) *output.Table {
	t := &output.Table{Head: []string{"APPLIANCE", "NAME", "LAST EVENT", "SILENT AFTER", "SILENT"}}
	for _, x := range s.GetAppliances() {
		after := "-"
		if x.GetSilentAfter() != nil {
			after = output.Duration(x.GetSilentAfter().AsDuration())
		}
		t.Add(x.GetApplianceId(), output.Dash(x.GetDisplayName()), output.Clock(x.GetLastEventTime()), after, output.Yes(x.GetSilent()))
	}
	return t
}

// showServices shows appliances, the running processes, and certificates and tokens that expire.
func showServices(env *command.Env, s *outboundv1.Status) error {
	services := &output.Table{Head: []string{"SERVICE", "INSTANCE", "VERSION", "STARTED"}}
	for _, x := range s.GetServices() {
		services.Add(x.GetName(), x.GetInstance(), x.GetVersion(), output.Clock(x.GetStartTime()))
	}
	ends := &output.Table{Head: []string{"EXPIRES", "KIND", "RESOURCE", "SUBJECT"}}
	for _, x := range s.GetExpiries() {
		ends.Add(output.Clock(x.GetExpireTime()), strings.ReplaceAll(x.GetKind(), "_", " "), x.GetResource(), output.Dash(x.GetSubject()))
	}
	for _, t := range []*output.Table{applianceTable(s), services, ends} {
		if len(t.Rows) == 0 {
			continue
		}
		env.Say("")
		if err := env.Print(t); err != nil {
			return err
		}
	}
	return nil
}
