package recipients

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// backfillCommand sends a recipient what was skipped while it was disabled. Other backfills are made by `replays create`.
func backfillCommand(env *command.Env) *cobra.Command {
	var rate int32
	cmd := &cobra.Command{
		Use: "backfill RECIPIENT", Short: "Send what was skipped while a recipient was last disabled", Args: command.Arguments("RECIPIENT"),
		Example: "  outbound recipients backfill ticket-system\n  outbound recipients backfill ticket-system --rate 20",
	}
	cmd.Flags().Int32Var(&rate, "rate", 0, "deliveries queued per second (default: as many as possible)")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		skipped, err := skippedOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		made := &outboundv1.Replay{}
		want := &outboundv1.Replay{ToRecipientId: args[0], Rate: rate, Source: &outboundv1.Replay_Backfill_{
			Backfill: &outboundv1.Replay_Backfill{StartTime: skipped.GetSkippedSinceTime(), EndTime: skipped.GetSkippedUntilTime()}}}
		if err := c.Call(ctx, http.MethodPost, "/v1/replays", want, made); err != nil {
			return err
		}
		return env.Show(made, func() *output.Table {
			return &output.Table{Rows: [][]string{{fmt.Sprintf("sending what was accepted from %s to %s: see outbound replays get %s",
				output.Clock(skipped.GetSkippedSinceTime()), output.Clock(skipped.GetSkippedUntilTime()), made.GetId())}}}
		})
	})
	return cmd
}

// skippedOf returns the state of a recipient of which events were skipped. The time until which is set: now, if it is disabled still.
func skippedOf(ctx context.Context, c *client.Client, id string) (*outboundv1.RecipientStatus, error) {
	s := &outboundv1.Status{}
	if err := c.Call(ctx, http.MethodGet, "/v1/status?"+url.Values{"recipient_id": {id}}.Encode(), nil, s); err != nil {
		return nil, err
	}
	if len(s.GetRecipients()) != 1 {
		return nil, exit.Usagef("recipient %s has no status", id)
	}
	r := s.GetRecipients()[0]
	switch {
	case r.GetSkippedSinceTime() == nil:
		return nil, fmt.Errorf("nothing was skipped: recipient %s has not been disabled with skip in the last 8 days", id)
	case r.GetHealth() == outboundv1.RecipientHealth_DISABLED:
		return nil, fmt.Errorf("recipient %s is disabled still: enable it first", id)
	case r.GetSkippedUntilTime() == nil:
		r.SkippedUntilTime = timestamppb.New(time.Now())
	}
	return r, nil
}
