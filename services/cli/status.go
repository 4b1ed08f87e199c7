package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) status() *cobra.Command {
	var recipient string
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show whether anything is wrong", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			query := url.Values{}
			if recipient != "" {
				query.Set("recipientId", recipient)
			}
			path := "/v1/status?" + query.Encode()
			if watch {
				return a.watchStatus(ctx, c, path)
			}
			s := &outboundv1.Status{}
			if err := c.call(ctx, http.MethodGet, path, nil, s); err != nil {
				return err
			}
			return a.showOne(s)
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and show the recipients again after each change")
	cmd.Flags().StringVar(&recipient, "recipient", "", "only this recipient")
	return cmd
}

func (a *app) showOne(s *outboundv1.Status) error {
	if a.output != "table" {
		return a.show(s, nil)
	}
	return a.showStatus(s)
}

// watchTick is the pause between two looks at the status.
const watchTick = time.Second

// watchStatus shows the status, and again when how a recipient stands has changed, until it is interrupted.
func (a *app) watchStatus(ctx context.Context, c *client, path string) error {
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	for shown := ""; ; {
		s := &outboundv1.Status{}
		switch err := c.call(ctx, http.MethodGet, path, nil, s); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if now := standings(s); now != shown {
			if shown != "" {
				a.say("")
			}
			shown = now
			if err := a.showOne(s); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// standings is a text that changes when how a recipient stands does; its queue and its last attempts are not part of it.
func standings(s *outboundv1.Status) string {
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
	streams := &table{head: []string{"STREAM", "MESSAGES", "BYTES", "OF", "LAST"}}
	for _, x := range s.GetStreams() {
		streams.add(x.GetName(), fmt.Sprint(x.GetMessages()), size(x.GetBytes()), size(x.GetMaxBytes()), fmt.Sprint(x.GetLastSequence()))
	}
	return a.print(streams)
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
