package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// targetList are deliveries to be changed.
type targetList = []*outboundv1.RetryDeliveriesRequest_Target

// operatorChange makes a command that changes deliveries that wait, named or by filters.
func (a *app) operatorChange(use, short, method string, request func(targetList) proto.Message) *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use: use + " [RECIPIENT/EVENT]...", Short: short,
		Long: short + ". Name a replay or test as RECIPIENT/EVENT~REPLAY. Deliveries in a final state are not changed and are listed.",
		Example: "  outbound deliveries " + use + " ticket-system/appliance-1~e-1\n" +
			"  outbound deliveries " + use + " --recipient ticket-system --since 2h",
	}
	filter.define(a, cmd)
	filter.defineList(cmd, retryAtOnce)
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		targets, err := waitingTargets(ctx, c, filter, args)
		if err != nil {
			return err
		}
		all := &outboundv1.ChangeDeliveriesResponse{}
		for len(targets) > 0 {
			n := min(len(targets), retryAtOnce)
			resp := &outboundv1.ChangeDeliveriesResponse{}
			if err := c.call(ctx, http.MethodPost, "/v1/deliveries:"+method, request(targets[:n]), resp); err != nil {
				return err
			}
			all.Changed += resp.GetChanged()
			all.Unchanged = append(all.Unchanged, resp.GetUnchanged()...)
			targets = targets[n:]
		}
		if err := a.showChange(all); err != nil {
			return err
		}
		if len(args) > 0 && all.GetChanged() == 0 {
			return errNothingChanged
		}
		return nil
	})
	return cmd
}

func (a *app) showChange(all *outboundv1.ChangeDeliveriesResponse) error {
	return a.show(all, func() *table {
		t := &table{}
		were := "deliveries were"
		if all.GetChanged() == 1 {
			were = "delivery was"
		}
		t.add(fmt.Sprintf("%d %s changed", all.GetChanged(), were))
		for _, u := range all.GetUnchanged() {
			t.add(fmt.Sprintf("unchanged: %s/%s: %s", u.GetRecipientId(), u.GetEventId(), u.GetDetail()))
		}
		return t
	})
}

// waitingTargets are the deliveries that are named, or those that wait for their next attempt and match the filters.
func waitingTargets(ctx context.Context, c *client, filter deliveryFilter, args []string) (targetList, error) {
	var out targetList
	switch {
	case len(args) > 0 && !filter.empty():
		return nil, usage("give either delivery names or filters, not both")
	case len(args) == 0 && filter.empty():
		return nil, usage("no deliveries selected: name them (RECIPIENT/EVENT) or give a filter")
	case len(args) > 0:
		for _, arg := range args {
			recipient, event, ok := strings.Cut(arg, "/")
			parts := strings.SplitN(event, "~", 3)
			if !ok || recipient == "" || len(parts) < 2 {
				return nil, usage("%q is not in the form RECIPIENT/APPLIANCE~ID or RECIPIENT/APPLIANCE~ID~REPLAY", arg)
			}
			t := &outboundv1.RetryDeliveriesRequest_Target{RecipientId: recipient, EventId: parts[0] + "~" + parts[1]}
			if len(parts) == 3 {
				t.ReplayId = parts[2]
			}
			out = append(out, t)
		}
		return out, nil
	}
	if filter.state == "" {
		filter.state = "retrying"
	}
	found, err := filter.list(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, d := range found.GetDeliveries() {
		out = append(out, &outboundv1.RetryDeliveriesRequest_Target{RecipientId: d.GetRecipientId(), EventId: d.GetEventId(), ReplayId: d.GetReplayId()})
	}
	return out, nil
}

func (a *app) deliveriesSendNow() *cobra.Command {
	return a.operatorChange("send-now", "Make the next attempt of pending deliveries now", "sendNow", func(t targetList) proto.Message {
		return &outboundv1.SendNowRequest{Deliveries: t}
	})
}

func (a *app) deliveriesCancel() *cobra.Command {
	return a.operatorChange("cancel", "Cancel pending deliveries", "cancel", func(t targetList) proto.Message {
		return &outboundv1.CancelDeliveriesRequest{Deliveries: t}
	})
}

func (a *app) deliveriesExtend() *cobra.Command {
	var by time.Duration
	cmd := a.operatorChange("extend", "Extend the retry window of pending deliveries", "extend", func(t targetList) proto.Message {
		return &outboundv1.ExtendDeliveriesRequest{Deliveries: t, By: durationpb.New(by)}
	})
	cmd.Flags().DurationVar(&by, "by", 24*time.Hour, "retry until this long from now, 1m to 168h")
	return cmd
}

func (a *app) recipientsPurge() *cobra.Command {
	var dryRun bool
	var expect int64
	cmd := &cobra.Command{
		Use:   "purge RECIPIENT",
		Short: "Cancel all pending deliveries of a recipient",
		Long: "Cancel all pending deliveries of a recipient. --expect states how many there are, as a safeguard; --dry-run counts\n" +
			"them.",
		Example: "  outbound recipients purge ticket-system --dry-run\n  outbound recipients purge ticket-system --expect 42",
		Args:    arguments("RECIPIENT"),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count the deliveries")
	cmd.Flags().Int64Var(&expect, "expect", -1, "expected number of pending deliveries; if there are more, nothing is cancelled")
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		req := &outboundv1.PurgeRecipientRequest{ValidateOnly: dryRun || expect < 0}
		if expect >= 0 {
			req.ExpectedCount = &expect
		}
		resp := &outboundv1.PurgeRecipientResponse{}
		if err := c.call(ctx, http.MethodPost, "/v1/recipients/"+url.PathEscape(args[0])+":purge", req, resp); err != nil {
			return err
		}
		if !dryRun && expect < 0 && resp.GetCancelled() > 0 {
			return usage("%d deliveries are pending for %s: to cancel them, run again with --expect %d", resp.GetCancelled(), args[0], resp.GetCancelled())
		}
		return a.show(resp, func() *table {
			t := &table{}
			if dryRun {
				t.add(fmt.Sprintf("%d deliveries pending", resp.GetCancelled()))
			} else {
				t.add(fmt.Sprintf("%d deliveries cancelled", resp.GetCancelled()))
			}
			return t
		})
	})
	return cmd
}
