package deliveries

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func tailCommand(env *command.Env) *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Stream deliveries as they are recorded, until interrupted",
		Long: "Tail streams deliveries as they are recorded from now on. An interrupt ends it with exit code 0. With -o json each\n" +
			"delivery is one line of JSON, with -o yaml one document.",
		Example: "  outbound deliveries tail --recipient ticket-system\n  outbound deliveries tail --state rejected -o json",
		Args:    command.Arguments(),
	}
	filter.define(env, cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		query, err := filter.query(time.Now())
		if err != nil {
			return err
		}
		asked := url.Values{}
		for name := range query {
			if v := query.Get(name); v != "" {
				asked.Set("filter."+name, v)
			}
		}
		return tail(ctx, env, c, "/v1/deliveries:tail?"+asked.Encode())
	})
	return cmd
}

func tail(ctx context.Context, env *command.Env, c *client.Client, path string) error {
	each := func(m proto.Message) error {
		batch, ok := m.(*outboundv1.TailDeliveriesResponse)
		if !ok {
			return fmt.Errorf("decode a line of the stream: not a batch of deliveries: %T", m)
		}
		for _, d := range batch.GetDeliveries() {
			if err := showTailed(env, d); err != nil {
				return err
			}
		}
		if n := batch.GetMissed(); n > 0 {
			_, _ = fmt.Fprintf(env.Err, "%d more deliveries were recorded than could be shown: see outbound deliveries list\n", n)
		}
		return nil
	}
	return env.Follow(ctx, c, client.Subscription{Path: path,
		Next: func() proto.Message { return &outboundv1.TailDeliveriesResponse{} }, Each: each})
}

// showTailed prints a delivery in a line, without columns, whose widths are not known in advance.
func showTailed(env *command.Env, d *outboundv1.Delivery) error {
	if env.Structured() {
		return env.ShowLine(d)
	}
	at := d.GetLastAttemptTime()
	if at == nil {
		at = d.GetAcceptTime()
	}
	env.Say("%s  %-9s  %s/%s  %s  attempt %d  %s", output.Clock(at), d.GetState(), d.GetRecipientId(), eventName(d), d.GetEventType(),
		d.GetAttempts(), output.Short(reason(d)))
	return nil
}
