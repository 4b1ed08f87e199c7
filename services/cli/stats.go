package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// rangeOf is a range of a time series as the API names it.
func rangeOf(text string) (outboundv1.TimeSeriesRange_Range, error) {
	ranges := map[time.Duration]outboundv1.TimeSeriesRange_Range{
		time.Hour: outboundv1.TimeSeriesRange_HOUR, 24 * time.Hour: outboundv1.TimeSeriesRange_DAY,
		7 * 24 * time.Hour: outboundv1.TimeSeriesRange_WEEK,
	}
	if d, err := resource.ParseDuration(text); err == nil && ranges[d] != 0 {
		return ranges[d], nil
	}
	return 0, exit.Usagef("--range %q is not a range: use 1h, 24h or 7d", text)
}

func stats(env *command.Env) *cobra.Command {
	recipient, span := "", "24h"
	cmd := &cobra.Command{
		Use: "stats", Short: "Show deliveries, failures, latency and queue over time", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			of, err := rangeOf(span)
			if err != nil {
				return err
			}
			query := url.Values{"range": {of.String()}}
			if recipient != "" {
				query.Set("recipientId", recipient)
			}
			s := &outboundv1.TimeSeries{}
			if err := c.Call(ctx, http.MethodGet, "/v1/timeseries?"+query.Encode(), nil, s); err != nil {
				return err
			}
			if env.Structured() {
				return env.Show(s, nil)
			}
			return showStats(env, s)
		}),
	}
	cmd.Flags().StringVar(&recipient, "recipient", "", "show only this recipient")
	cmd.Flags().StringVar(&span, "range", span, "how far back: 1h, 24h or 7d")
	env.CompleteFlags(cmd, map[string]command.Completion{
		"recipient": command.CompleteRecipients, "range": command.Words("1h", "24h", "7d"),
	})
	return cmd
}

// showStats shows the intervals in which something happened, and the sum.
func showStats(env *command.Env, s *outboundv1.TimeSeries) error {
	t := &output.Table{Head: []string{"FROM", "DELIVERED", "FAILED ATTEMPTS", "FAILED DELIVERIES", "P50", "P95", "LONGEST QUEUE"}}
	add := func(name string, p *outboundv1.TimeSeriesPoint) {
		waiting := "-"
		if p.Waiting != nil {
			waiting = fmt.Sprint(p.GetWaiting())
		}
		t.Add(name, fmt.Sprint(p.GetDelivered()), fmt.Sprint(p.GetFailedAttempts()), fmt.Sprint(p.GetFailedDeliveries()),
			latency(p.GetLatencyP50()), latency(p.GetLatencyP95()), waiting)
	}
	for _, p := range s.GetPoints() {
		if p.GetDelivered()+p.GetFailedAttempts()+p.GetFailedDeliveries()+p.GetWaiting() > 0 {
			add(output.Clock(p.GetStartTime()), p)
		}
	}
	add("total", s.GetTotal())
	if err := env.Print(t); err != nil {
		return err
	}
	env.Say("")
	env.Say("Intervals of %s; those in which nothing happened are left out.", output.Duration(s.GetInterval().AsDuration()))
	if s.GetKnownSinceTime() != nil {
		env.Say("Counted since %s; what was before is not known.", output.Clock(s.GetKnownSinceTime()))
	}
	return nil
}

// latency is a time with the figures that are certain.
func latency(d *durationpb.Duration) string {
	switch took := d.AsDuration(); {
	case d == nil:
		return "-"
	case took < 10*time.Millisecond:
		return took.Round(100 * time.Microsecond).String()
	case took < time.Second:
		return took.Round(time.Millisecond).String()
	case took < time.Minute:
		return took.Round(100 * time.Millisecond).String()
	default:
		return took.Round(time.Second).String()
	}
}
