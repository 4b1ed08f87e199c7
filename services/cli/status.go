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

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func status(env *app) *cobra.Command {
	var recipient string
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show whether anything is wrong", Args: arguments(),
		RunE: env.with(func(ctx context.Context, c *client, _ []string) error {
			query := url.Values{}
			if recipient != "" {
				query.Set("recipientId", recipient)
			}
			if watch {
				return watchStatus(ctx, env, c, "/v1/status:watch?"+query.Encode())
			}
			s := &outboundv1.Status{}
			if err := c.call(ctx, http.MethodGet, "/v1/status?"+query.Encode(), nil, s); err != nil {
				return err
			}
			return showOne(env, s)
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and show the recipients again after each change")
	cmd.Flags().StringVar(&recipient, "recipient", "", "only this recipient")
	return cmd
}

func showOne(env *app, s *outboundv1.Status) error {
	if env.structured() {
		return env.show(s, nil)
	}
	return showStatus(env, s)
}

// watchStatus shows the status, and again when how a recipient stands has changed, until it is interrupted.
func watchStatus(ctx context.Context, env *app, c *client, path string) error {
	shown := ""
	each := func(m proto.Message) error {
		s, ok := m.(*outboundv1.Status)
		if !ok {
			return fmt.Errorf("a line of the stream is no status: %T", m)
		}
		now := statusText(s)
		if now == shown {
			// A stream that was asked for again begins with what is known.
			return nil
		}
		if shown != "" {
			env.say("")
		}
		shown = now
		if env.structured() {
			return env.showLine(s)
		}
		return showStatus(env, s)
	}
	return env.follow(ctx, c, subscription{Path: path, Next: func() proto.Message { return &outboundv1.Status{} }, Each: each})
}

// statusText is a text that changes when how a recipient stands does; its queue and its last attempts are not part of it.
func statusText(s *outboundv1.Status) string {
	out := "status " + s.GetRelay().GetLine()
	for _, r := range s.GetRecipients() {
		out += fmt.Sprintf("\n%s %s %s %s %t %s", r.GetRecipientId(), r.GetHealth(), clock(r.GetFailingSinceTime()), r.GetLastReason(), r.GetBreakerOpen(), clock(r.GetLastAlertTime()))
	}
	return out
}

func showStatus(env *app, s *outboundv1.Status) error {
	env.say("Outbound %s", s.GetVersion())
	for _, n := range s.GetNotices() {
		env.say("notice: %s", n)
	}
	if line := s.GetRelay().GetLine(); line != "" {
		env.say("SMTP relay: %s", line)
	}
	env.say("")
	recipients := &table{head: []string{"RECIPIENT", "HEALTH", "SINCE", "QUEUED", "OLDEST", "LAST ATTEMPT", "NEXT ATTEMPT", "LAST ERROR"}}
	for _, r := range s.GetRecipients() {
		recipients.add(r.GetRecipientId(), r.GetHealth().String(), clock(r.GetFailingSinceTime()), fmt.Sprint(r.GetQueuedEvents()), clock(r.GetOldestQueuedTime()),
			clock(r.GetLastAttemptTime()), clock(r.GetNextAttemptTime()), dash(short(r.GetLastError())))
	}
	if err := env.print(recipients); err != nil {
		return err
	}
	env.say("")
	streams := &table{head: []string{"STREAM", "MESSAGES", "OF", "BYTES", "OF", "USED", "SINCE", "KEPT FOR", "LAST"}}
	for _, x := range s.GetStreams() {
		streams.add(x.GetName(), fmt.Sprint(x.GetMessages()), most(x.GetMaxMessages()), size(x.GetBytes()), size(x.GetMaxBytes()), fmt.Sprintf("%d %%", x.GetUsedPercent()),
			clock(x.GetFirstTime()), days(x.GetMaxAge().AsDuration()), fmt.Sprint(x.GetLastSequence()))
	}
	if err := env.print(streams); err != nil {
		return err
	}
	showStorage(env, s)
	return showServices(env, s)
}

func most(n uint64) string {
	if n == 0 {
		return "any"
	}
	return fmt.Sprint(n)
}

// days writes how long a stream keeps what is in it.
func days(d time.Duration) string {
	if d <= 0 {
		return "ever"
	}
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
	return d.String()
}

// showStorage tells what the streams use of the disk and whether what they may still use is there.
func showStorage(env *app, s *outboundv1.Status) {
	d := s.GetDisk()
	if d == nil {
		return
	}
	line := fmt.Sprintf("disk: the streams use %s of %s", size(d.GetUsedBytes()), size(d.GetLimitBytes()))
	switch {
	case !d.GetFreeKnown():
		line += "; what is free is the external broker's to tell"
	case d.GetLimitBytes() > d.GetUsedBytes() && d.GetFreeBytes() < d.GetLimitBytes()-d.GetUsedBytes():
		line += fmt.Sprintf("; %s are free, less than they may still use", size(d.GetFreeBytes()))
	default:
		line += fmt.Sprintf("; %s are free", size(d.GetFreeBytes()))
	}
	env.say("%s", line)
}

// heardOf is the table of appliances.
func heardOf(s *outboundv1.Status) *table {
	t := &table{head: []string{"APPLIANCE", "NAME", "LAST EVENT", "SILENT AFTER", "SILENT"}}
	for _, x := range s.GetAppliances() {
		after := "-"
		if x.GetSilentAfter() != nil {
			after = x.GetSilentAfter().AsDuration().String()
		}
		t.add(x.GetApplianceId(), dash(x.GetDisplayName()), clock(x.GetLastEventTime()), after, yes(x.GetSilent()))
	}
	return t
}

// showServices shows when appliances were last heard, the processes that answer, and what ends.
func showServices(env *app, s *outboundv1.Status) error {
	services := &table{head: []string{"SERVICE", "INSTANCE", "VERSION", "STARTED"}}
	for _, x := range s.GetServices() {
		services.add(x.GetName(), x.GetInstance(), x.GetVersion(), clock(x.GetStartTime()))
	}
	ends := &table{head: []string{"ENDS", "WHAT", "OF", "SUBJECT"}}
	for _, x := range s.GetExpiries() {
		ends.add(clock(x.GetExpireTime()), strings.ReplaceAll(x.GetKind(), "_", " "), x.GetResource(), dash(x.GetSubject()))
	}
	for _, t := range []*table{heardOf(s), services, ends} {
		if len(t.rows) == 0 {
			continue
		}
		env.say("")
		if err := env.print(t); err != nil {
			return err
		}
	}
	return nil
}
