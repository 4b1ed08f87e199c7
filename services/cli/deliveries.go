package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) deliveries() *cobra.Command {
	return group("deliveries", "List, inspect and retry deliveries",
		a.deliveriesList(), a.deliveriesGet(), a.deliveriesTail(), a.deliveriesRetry(),
		a.deliveriesSendNow(), a.deliveriesExtend(), a.deliveriesCancel())
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

func (a *app) deliveriesList() *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List deliveries, newest first",
		Example: "  outbound deliveries list --recipient ticket-system --state retrying\n" +
			"  outbound deliveries list --class network --since 2h -o json\n" +
			"  outbound deliveries list --since 2026-11-21T08:00:00Z --until 2026-11-21T09:00:00Z",
		Args: arguments(),
	}
	filter.define(a, cmd)
	filter.defineList(cmd, 50)
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		all, err := filter.list(ctx, c)
		if err != nil {
			return err
		}
		return a.show(all, func() *table { return deliveryTable(all.GetDeliveries()) })
	})
	return cmd
}

func deliveryTable(list []*outboundv1.Delivery) *table {
	t := &table{head: []string{"RECIPIENT", "EVENT", "TYPE", "STATE", "ATTEMPTS", "LAST ATTEMPT", "NEXT ATTEMPT", "REASON"}}
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

func (a *app) deliveriesRetry() *cobra.Command {
	var filter deliveryFilter
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "retry [RECIPIENT/EVENT]...",
		Short: "Retry deliveries, selected by name or by filters",
		Example: "  outbound deliveries retry ticket-system/appliance-1~e-1\n" +
			"  outbound deliveries retry --recipient ticket-system --state expired",
	}
	filter.define(a, cmd)
	filter.defineList(cmd, 1000)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show how many deliveries would be retried")
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		targets, err := retryTargets(ctx, c, &filter, args)
		if err != nil {
			return err
		}
		if len(targets) == 0 {
			a.say("no delivery matches: nothing to retry")
			return nil
		}
		if dryRun {
			a.say("%d deliveries would be retried", len(targets))
			return nil
		}
		return a.retry(ctx, c, targets)
	})
	return cmd
}

func retryTargets(ctx context.Context, c *client, filter *deliveryFilter, args []string) ([]*outboundv1.RetryDeliveriesRequest_Target, error) {
	if len(args) > 0 && !filter.empty() {
		return nil, usage("give either delivery names or filters, not both")
	}
	if len(args) == 0 && filter.empty() {
		return nil, usage("no deliveries selected: name them (RECIPIENT/EVENT) or give a filter")
	}
	var out []*outboundv1.RetryDeliveriesRequest_Target
	for _, arg := range args {
		recipient, event, ok := strings.Cut(arg, "/")
		if !ok || recipient == "" || event == "" {
			return nil, usage("%q is not in the form RECIPIENT/EVENT", arg)
		}
		out = append(out, &outboundv1.RetryDeliveriesRequest_Target{RecipientId: recipient, EventId: event})
	}
	if len(args) > 0 {
		return out, nil
	}
	found, err := filter.list(ctx, c)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, d := range found.GetDeliveries() {
		if key := d.GetRecipientId() + "/" + d.GetEventId(); !d.GetTest() && !known[key] {
			known[key] = true
			out = append(out, &outboundv1.RetryDeliveriesRequest_Target{RecipientId: d.GetRecipientId(), EventId: d.GetEventId()})
		}
	}
	return out, nil
}

// retryAtOnce is how many deliveries one request may name.
const retryAtOnce = 1000

func (a *app) retry(ctx context.Context, c *client, targets []*outboundv1.RetryDeliveriesRequest_Target) error {
	bar, all := a.progress(), len(targets)
	defer bar.end()
	for len(targets) > 0 {
		bar.show("%d of %d retried", all-len(targets), all)
		n := min(len(targets), retryAtOnce)
		resp := &outboundv1.RetryDeliveriesResponse{}
		req := &outboundv1.RetryDeliveriesRequest{Deliveries: targets[:n]}
		if err := c.call(ctx, http.MethodPost, "/v1/deliveries:retry", req, resp); err != nil {
			return err
		}
		if a.output != "table" {
			if err := a.show(resp, nil); err != nil {
				return err
			}
		}
		a.say("queued %d deliveries for retry as replay %s", resp.GetQueued(), resp.GetReplayId())
		targets = targets[n:]
	}
	return nil
}
