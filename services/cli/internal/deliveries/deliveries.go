// Package deliveries holds the commands of deliveries and replays.
package deliveries

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Command makes the command `deliveries`.
func Command(env *command.Env) *cobra.Command {
	return command.Group("deliveries", "List, inspect and retry deliveries",
		listCommand(env), getCommand(env), tailCommand(env), retryCommand(env),
		sendNowCommand(env), extendCommand(env), cancelCommand(env))
}

func (d *deliveryFilter) list(ctx context.Context, c *client.Client) (*outboundv1.ListDeliveriesResponse, error) {
	query, err := d.query(time.Now())
	if err != nil {
		return nil, err
	}
	all := &outboundv1.ListDeliveriesResponse{}
	err = client.EachPage(d.limit, func(size int, token string) (int, string, error) {
		page := &outboundv1.ListDeliveriesResponse{}
		err := c.Call(ctx, http.MethodGet, "/v1/deliveries?"+client.PageQuery(query, size, token), nil, page)
		all.Deliveries = append(all.Deliveries, page.GetDeliveries()...)
		all.NextPageToken = page.GetNextPageToken()
		return len(page.GetDeliveries()), page.GetNextPageToken(), err
	})
	return all, err
}

func listCommand(env *command.Env) *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List deliveries, newest first",
		Example: "  outbound deliveries list --recipient ticket-system --state retrying\n" +
			"  outbound deliveries list --class network --since 2h -o json\n" +
			"  outbound deliveries list --since 2026-11-21T08:00:00Z --until 2026-11-21T09:00:00Z",
		Args: command.Arguments(),
	}
	filter.define(env, cmd)
	filter.defineList(cmd, 50)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		all, err := filter.list(ctx, c)
		if err != nil {
			return err
		}
		return env.Show(all, func() *output.Table { return Table(all.GetDeliveries()) })
	})
	return cmd
}

// Table lists deliveries, a row each.
func Table(list []*outboundv1.Delivery) *output.Table {
	t := &output.Table{Head: []string{"RECIPIENT", "EVENT", "TYPE", "STATE", "ATTEMPTS", "LAST ATTEMPT", "NEXT ATTEMPT", "REASON"}}
	for _, d := range list {
		t.Add(d.GetRecipientId(), eventName(d), d.GetEventType(), d.GetState().String(), fmt.Sprint(d.GetAttempts()),
			output.Clock(d.GetLastAttemptTime()), output.Clock(d.GetNextAttemptTime()), output.Short(reason(d)))
	}
	return t
}

func eventName(d *outboundv1.Delivery) string {
	switch {
	case d.GetTest():
		return d.GetEventId() + " (test)"
	case d.GetReplayId() != "":
		return d.GetEventId() + " (replay " + d.GetReplayId() + ")"
	default:
		return d.GetEventId()
	}
}

func reason(d *outboundv1.Delivery) string {
	return ReasonOf(d.GetReason(), d.GetDetail(), d.GetStatusCode())
}

// ReasonOf is a reason with its detail, or else its status code.
func ReasonOf(word, detail string, code int32) string {
	switch {
	case detail != "":
		return word + ": " + detail
	case code != 0:
		return fmt.Sprintf("%s: %d", word, code)
	default:
		return word
	}
}
