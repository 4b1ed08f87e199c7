package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func deliveries(env *app) *cobra.Command {
	return group("deliveries", "See what became of events at their recipients",
		deliveriesList(env), deliveriesGet(env), deliveriesTail(env), deliveriesRetry(env),
		deliveriesSendNow(env), deliveriesExtend(env), deliveriesCancel(env))
}

func (d *deliveryFilter) list(ctx context.Context, c *client) (*outboundv1.ListDeliveriesResponse, error) {
	query, err := d.query(time.Now())
	if err != nil {
		return nil, err
	}
	all := &outboundv1.ListDeliveriesResponse{}
	err = pages(d.limit, func(size int, token string) (int, string, error) {
		page := &outboundv1.ListDeliveriesResponse{}
		err := c.call(ctx, http.MethodGet, "/v1/deliveries?"+pageQuery(query, size, token), nil, page)
		all.Deliveries = append(all.Deliveries, page.GetDeliveries()...)
		all.NextPageToken = page.GetNextPageToken()
		return len(page.GetDeliveries()), page.GetNextPageToken(), err
	})
	return all, err
}

func deliveriesList(env *app) *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List deliveries, newest first",
		Example: "  outbound deliveries list --recipient ticket-system --state retrying\n" +
			"  outbound deliveries list --class network --since 2h -o json\n" +
			"  outbound deliveries list --since 2026-11-21T08:00:00Z --until 2026-11-21T09:00:00Z",
		Args: arguments(),
	}
	filter.define(env, cmd)
	filter.defineList(cmd, 50)
	cmd.RunE = env.with(func(ctx context.Context, c *client, _ []string) error {
		all, err := filter.list(ctx, c)
		if err != nil {
			return err
		}
		return env.show(all, func() *table { return deliveryTable(all.GetDeliveries()) })
	})
	return cmd
}

func deliveryTable(list []*outboundv1.Delivery) *table {
	t := &table{head: []string{"RECIPIENT", "EVENT", "TYPE", "STATE", "ATTEMPTS", "LAST ATTEMPT", "NEXT ATTEMPT", "WHY"}}
	for _, d := range list {
		t.add(d.GetRecipientId(), eventName(d), d.GetEventType(), d.GetState().String(), fmt.Sprint(d.GetAttempts()),
			clock(d.GetLastAttemptTime()), clock(d.GetNextAttemptTime()), short(reason(d)))
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
	return reasonOf(d.GetReason(), d.GetDetail(), d.GetStatusCode())
}

func reasonOf(word, detail string, code int32) string {
	switch {
	case detail != "":
		return word + ": " + detail
	case code != 0:
		return fmt.Sprintf("%s: %d", word, code)
	default:
		return word
	}
}
