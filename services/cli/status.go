package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) status() *cobra.Command {
	var recipient string
	cmd := &cobra.Command{
		Use: "status", Short: "Show whether anything is wrong", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			s := &outboundv1.Status{}
			query := url.Values{}
			if recipient != "" {
				query.Set("recipientId", recipient)
			}
			if err := c.call(ctx, http.MethodGet, "/v1/status?"+query.Encode(), nil, s); err != nil {
				return err
			}
			if a.output != "table" {
				return a.show(s, nil)
			}
			return a.showStatus(s)
		}),
	}
	cmd.Flags().StringVar(&recipient, "recipient", "", "only this recipient")
	return cmd
}

func (a *app) showStatus(s *outboundv1.Status) error {
	a.say("Outbound %s", s.GetVersion())
	for _, n := range s.GetNotices() {
		a.say("notice: %s", n)
	}
	a.say("")
	recipients := &table{head: []string{"RECIPIENT", "HEALTH", "QUEUED", "OLDEST", "LAST ATTEMPT", "NEXT ATTEMPT", "LAST ERROR"}}
	for _, r := range s.GetRecipients() {
		recipients.add(r.GetRecipientId(), r.GetHealth().String(), fmt.Sprint(r.GetQueuedEvents()), clock(r.GetOldestQueuedTime()),
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
