package deliveries

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// targetList are deliveries to be changed.
type targetList = []*outboundv1.RetryDeliveriesRequest_Target

// waitingChange is a change of deliveries that wait.
type waitingChange struct {
	// use is the name of the command, method that of the call.
	use, short, method string
	// request makes the call for some deliveries.
	request func(targetList) proto.Message
}

// operatorChange makes a command that changes deliveries that wait, named or by filters.
func operatorChange(env *command.Env, change waitingChange) *cobra.Command {
	var filter deliveryFilter
	cmd := &cobra.Command{
		Use: change.use + " [RECIPIENT/EVENT]...", Short: change.short,
		Long: change.short + ". Name a replay or test as RECIPIENT/EVENT~REPLAY. Deliveries in a final state are not changed and are listed.",
		Example: "  outbound deliveries " + change.use + " ticket-system/appliance-1~e-1\n" +
			"  outbound deliveries " + change.use + " --recipient ticket-system --since 2h",
	}
	filter.define(env, cmd)
	filter.defineList(cmd, retryAtOnce)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		targets, err := waitingTargets(ctx, c, filter, args)
		if err != nil {
			return err
		}
		all := &outboundv1.ChangeDeliveriesResponse{}
		for len(targets) > 0 {
			n := min(len(targets), retryAtOnce)
			resp := &outboundv1.ChangeDeliveriesResponse{}
			if err := c.Call(ctx, http.MethodPost, "/v1/deliveries:"+change.method, change.request(targets[:n]), resp); err != nil {
				return err
			}
			all.Changed += resp.GetChanged()
			all.Unchanged = append(all.Unchanged, resp.GetUnchanged()...)
			targets = targets[n:]
		}
		if err := showChange(env, all); err != nil {
			return err
		}
		if len(args) > 0 && all.GetChanged() == 0 {
			return errNothingChanged
		}
		return nil
	})
	return cmd
}

func showChange(env *command.Env, all *outboundv1.ChangeDeliveriesResponse) error {
	return env.Show(all, func() *output.Table {
		t := &output.Table{}
		were := "deliveries were"
		if all.GetChanged() == 1 {
			were = "delivery was"
		}
		t.Add(fmt.Sprintf("%d %s changed", all.GetChanged(), were))
		for _, u := range all.GetUnchanged() {
			t.Add(fmt.Sprintf("unchanged: %s/%s: %s", u.GetRecipientId(), u.GetEventId(), u.GetDetail()))
		}
		return t
	})
}

// waitingTargets returns the named deliveries, or the retrying ones that match the filters.
func waitingTargets(ctx context.Context, c *client.Client, filter deliveryFilter, args []string) (targetList, error) {
	var out targetList
	switch {
	case len(args) > 0 && !filter.empty():
		return nil, exit.Usagef("give either delivery names or filters, not both")
	case len(args) == 0 && filter.empty():
		return nil, exit.Usagef("no deliveries selected: name them (RECIPIENT/EVENT) or give a filter")
	case len(args) > 0:
		for _, arg := range args {
			recipient, event, ok := strings.Cut(arg, "/")
			parts := strings.SplitN(event, "~", 3)
			if !ok || recipient == "" || len(parts) < 2 {
				return nil, exit.Usagef("%q is not in the form RECIPIENT/APPLIANCE~ID or RECIPIENT/APPLIANCE~ID~REPLAY", arg)
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
		out = append(out, &outboundv1.RetryDeliveriesRequest_Target{RecipientId: d.GetRecipientId(), EventId: d.GetEventId(),
			ReplayId: d.GetReplayId()})
	}
	return out, nil
}

func sendNowCommand(env *command.Env) *cobra.Command {
	return operatorChange(env, waitingChange{
		use: "send-now", short: "Make the next attempt of pending deliveries now", method: "sendNow",
		request: func(t targetList) proto.Message { return &outboundv1.SendNowRequest{Deliveries: t} },
	})
}

func cancelCommand(env *command.Env) *cobra.Command {
	return operatorChange(env, waitingChange{
		use: "cancel", short: "Cancel pending deliveries", method: "cancel",
		request: func(t targetList) proto.Message { return &outboundv1.CancelDeliveriesRequest{Deliveries: t} },
	})
}

func extendCommand(env *command.Env) *cobra.Command {
	var by time.Duration
	cmd := operatorChange(env, waitingChange{
		use: "extend", short: "Extend the retry window of pending deliveries", method: "extend",
		request: func(t targetList) proto.Message {
			return &outboundv1.ExtendDeliveriesRequest{Deliveries: t, By: durationpb.New(by)}
		},
	})
	command.DurationVar(cmd.Flags(), &by, "by", "retry until this long from now, 1m to 7d")
	return cmd
}

// errNothingChanged says that no named delivery was changed.
var errNothingChanged = errors.New("nothing was changed")
