package deliveries

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func retryCommand(env *command.Env) *cobra.Command {
	var filter deliveryFilter
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "retry [RECIPIENT/EVENT]...",
		Short: "Retry deliveries, selected by name or by filters",
		Example: "  outbound deliveries retry ticket-system/appliance-1~e-1\n" +
			"  outbound deliveries retry --recipient ticket-system --state expired",
	}
	filter.define(env, cmd)
	filter.defineList(cmd, 1000)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show how many deliveries would be retried")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		targets, err := retryTargets(ctx, c, &filter, args)
		if err != nil {
			return err
		}
		if len(targets) == 0 {
			env.Say("no delivery matches: nothing to retry")
			return nil
		}
		if dryRun {
			env.Say("%d deliveries would be retried", len(targets))
			return nil
		}
		return retry(ctx, env, c, targets)
	})
	return cmd
}

func retryTargets(ctx context.Context, c *client.Client, filter *deliveryFilter,
	args []string) ([]*outboundv1.RetryDeliveriesRequest_Target, error) {
	if len(args) > 0 && !filter.empty() {
		return nil, exit.Usagef("give either delivery names or filters, not both")
	}
	if len(args) == 0 && filter.empty() {
		return nil, exit.Usagef("no deliveries selected: name them (RECIPIENT/EVENT) or give a filter")
	}
	var out []*outboundv1.RetryDeliveriesRequest_Target
	for _, arg := range args {
		recipient, event, ok := strings.Cut(arg, "/")
		if !ok || recipient == "" || event == "" {
			return nil, exit.Usagef("%q is not in the form RECIPIENT/EVENT", arg)
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

func retry(ctx context.Context, env *command.Env, c *client.Client, targets []*outboundv1.RetryDeliveriesRequest_Target) error {
	bar, all := env.Progress(), len(targets)
	defer bar.End()
	for len(targets) > 0 {
		bar.Show("%d of %d retried", all-len(targets), all)
		n := min(len(targets), retryAtOnce)
		resp := &outboundv1.RetryDeliveriesResponse{}
		req := &outboundv1.RetryDeliveriesRequest{Deliveries: targets[:n]}
		if err := c.Call(ctx, http.MethodPost, "/v1/deliveries:retry", req, resp); err != nil {
			return err
		}
		if env.Structured() {
			if err := env.Show(resp, nil); err != nil {
				return err
			}
		}
		env.Say("queued %d deliveries for retry as replay %s", resp.GetQueued(), resp.GetReplayId())
		targets = targets[n:]
	}
	return nil
}
