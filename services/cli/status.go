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

func (a *app) status() *cobra.Command {
	var recipient string
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show the status of the system", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			query := url.Values{}
			if recipient != "" {
				query.Set("recipientId", recipient)
			}
			if watch {
				return a.watchStatus(ctx, c, "/v1/status:watch?"+query.Encode())
			}
			s := &outboundv1.Status{}
			if err := c.call(ctx, http.MethodGet, "/v1/status?"+query.Encode(), nil, s); err != nil {
				return err
			}
			return a.showOne(s)
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "watch for changes of recipients")
	cmd.Flags().StringVar(&recipient, "recipient", "", "show only this recipient")
	return cmd
}

func (a *app) showOne(s *outboundv1.Status) error {
	if a.output != "table" {
		return a.show(s, nil)
	}
	return a.showStatus(s)
}

// watchStatus shows the status, and shows it again after each change of a recipient's health, until it is interrupted.
func (a *app) watchStatus(ctx context.Context, c *client, path string) error {
	shown := ""
	return a.follow(ctx, c, path, func() proto.Message { return &outboundv1.Status{} }, func(m proto.Message) error {
		s, ok := m.(*outboundv1.Status)
		if !ok {
			return fmt.Errorf("decode a line of the stream: not a status: %T", m)
		}
		now := statusText(s)
		if now == shown {
			// A reconnected stream starts with the current status.
			return nil
		}
		if shown != "" {
			a.say("")
		}
		shown = now
		if a.output != "table" {
			return a.showLine(s)
		}
		return a.showStatus(s)
	})
}

// statusText returns a text that changes with a recipient's health. Queue and last attempts are not part of it.
func statusText(s *outboundv1.Status) string {
	out := "status " + s.GetRelay().GetLine()
	for _, r := range s.GetRecipients() {
		out += fmt.Sprintf("\n%s %s %s %s %t %s", r.GetRecipientId(), r.GetHealth(), clock(r.GetFailingSinceTime()), r.GetLastReason(), r.GetBreakerOpen(), clock(r.GetLastAlertTime()))
	}
	return out
}

func (a *app) showStatus(s *outboundv1.Status) error {
	a.say("Outbound %s", s.GetVersion())
	for _, n := range s.GetNotices() {
		a.say("notice: %s", n)
	}
	if line := s.GetRelay().GetLine(); line != "" {
		a.say("SMTP relay: %s", line)
	}
	a.say("")
	recipients := &table{head: []string{"RECIPIENT", "HEALTH", "SINCE", "QUEUED", "OLDEST", "LAST ATTEMPT", "NEXT ATTEMPT", "LAST ERROR"}}
	for _, r := range s.GetRecipients() {
		recipients.add(r.GetRecipientId(), r.GetHealth().String(), clock(r.GetFailingSinceTime()), fmt.Sprint(r.GetQueuedEvents()), clock(r.GetOldestQueuedTime()),
			clock(r.GetLastAttemptTime()), clock(r.GetNextAttemptTime()), dash(short(r.GetLastError())))
	}
	if err := a.print(recipients); err != nil {
		return err
	}
	a.say("")
	streams := &table{head: []string{"STREAM", "MESSAGES", "LIMIT", "BYTES", "LIMIT", "USED", "SINCE", "RETENTION", "LAST"}}
	for _, x := range s.GetStreams() {
		streams.add(x.GetName(), fmt.Sprint(x.GetMessages()), most(x.GetMaxMessages()), size(x.GetBytes()), size(x.GetMaxBytes()), fmt.Sprintf("%d %%", x.GetUsedPercent()),
			clock(x.GetFirstTime()), days(x.GetMaxAge().AsDuration()), fmt.Sprint(x.GetLastSequence()))
	}
	if err := a.print(streams); err != nil {
		return err
	}
	a.showStorage(s)
	return a.showServices(s)
}

func most(n uint64) string {
	if n == 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// days formats the retention of a stream.
func days(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
	return d.String()
}

// showStorage shows the disk usage of the streams, and whether the disk has space for the rest of their limits.
func (a *app) showStorage(s *outboundv1.Status) {
	d := s.GetDisk()
	if d == nil {
		return
	}
	line := fmt.Sprintf("disk: the streams use %s of %s", size(d.GetUsedBytes()), size(d.GetLimitBytes()))
	switch {
	case !d.GetFreeKnown():
		line += "; free space is not known for an external broker"
	case d.GetLimitBytes() > d.GetUsedBytes() && d.GetFreeBytes() < d.GetLimitBytes()-d.GetUsedBytes():
		line += fmt.Sprintf("; %s free, which is less than the streams may still use", size(d.GetFreeBytes()))
	default:
		line += fmt.Sprintf("; %s free", size(d.GetFreeBytes()))
	}
	a.say("%s", line)
}

// heardOf returns the table of appliances.
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

// showServices shows appliances, running processes, and certificates, secrets and tokens that expire.
func (a *app) showServices(s *outboundv1.Status) error {
	services := &table{head: []string{"SERVICE", "INSTANCE", "VERSION", "STARTED"}}
	for _, x := range s.GetServices() {
		services.add(x.GetName(), x.GetInstance(), x.GetVersion(), clock(x.GetStartTime()))
	}
	ends := &table{head: []string{"EXPIRES", "KIND", "RESOURCE", "SUBJECT"}}
	for _, x := range s.GetExpiries() {
		ends.add(clock(x.GetExpireTime()), strings.ReplaceAll(x.GetKind(), "_", " "), x.GetResource(), dash(x.GetSubject()))
	}
	for _, t := range []*table{heardOf(s), services, ends} {
		if len(t.rows) == 0 {
			continue
		}
		a.say("")
		if err := a.print(t); err != nil {
			return err
		}
	}
	return nil
}

// size writes bytes in the largest unit that leaves at least one.
func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
