package cli

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func deliveriesTail(env *app) *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show deliveries as they are recorded, until interrupted",
		Long: "Tail shows deliveries as they are recorded from now on, until it is interrupted, which is no error. With -o json each\n" +
			"is one JSON object a line, with -o yaml one document.",
		Example: "  outbound deliveries tail --recipient ticket-system\n  outbound deliveries tail --state rejected -o json",
		Args:    arguments(),
	}
	filter.define(env, cmd)
	cmd.RunE = env.with(func(ctx context.Context, c *client, _ []string) error {
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

func tail(ctx context.Context, env *app, c *client, path string) error {
	each := func(m proto.Message) error {
		batch, ok := m.(*outboundv1.TailDeliveriesResponse)
		if !ok {
			return fmt.Errorf("a line of the stream is no batch of deliveries: %T", m)
		}
		for _, d := range batch.GetDeliveries() {
			if err := showTailed(env, d); err != nil {
				return err
			}
		}
		if n := batch.GetMissed(); n > 0 {
			_, _ = fmt.Fprintf(env.Err, "%d more came than could be shown: see outbound deliveries list\n", n)
		}
		return nil
	}
	return env.follow(ctx, c, subscription{Path: path, Next: func() proto.Message { return &outboundv1.TailDeliveriesResponse{} }, Each: each})
}

// showTailed prints a delivery in a line: columns would have to be known before they come.
func showTailed(env *app, d *outboundv1.Delivery) error {
	if env.structured() {
		return env.showLine(d)
	}
	at := d.GetLastAttemptTime()
	if at == nil {
		at = d.GetAcceptTime()
	}
	env.say("%s  %-9s  %s/%s  %s  attempt %d  %s", clock(at), d.GetState(), d.GetRecipientId(), eventName(d), d.GetEventType(),
		d.GetAttempts(), short(reason(d)))
	return nil
}
