// Package recipients holds the commands of recipients.
package recipients

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Command makes the command `recipients`.
func Command(env *command.Env) *cobra.Command {
	return command.Group("recipients", "Manage recipients",
		listCommand(env), getCommand(env), createCommand(env), updateCommand(env), deleteCommand(env),
		enableCommand(env), disableCommand(env), backfillCommand(env), probeCommand(env), testCommand(env),
		previewCommand(env), doctorCommand(env), testFilterCommand(env), purgeCommand(env), rotateCommand(env))
}

func listCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List recipients", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.AllRecipients(ctx)
			if err != nil {
				return err
			}
			return env.Show(all, func() *output.Table {
				states := healthsOf(ctx, env, c)
				t := &output.Table{Head: []string{"ID", "NAME", "CHANNEL", "ENABLED", "HEALTH", "QUEUED", "EVENTS", "TARGET"}}
				for _, r := range all.GetRecipients() {
					channel, target := "http", r.GetHttp().GetUrl()
					if r.GetEmail() != nil {
						channel, target = "email", strings.Join(r.GetEmail().GetAddresses(), ",")
					}
					health, queued := states.cells(r.GetId())
					t.Add(r.GetId(), r.GetDisplayName(), channel, recipientState(r), health, queued, fmt.Sprint(len(r.GetEventTypes())), target)
				}
				return t
			})
		}),
	}
}

func recipientState(r *outboundv1.Recipient) string {
	if r.GetDeleteTime() != nil {
		return "deleting"
	}
	return output.Yes(r.GetEnabled())
}

func getCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "get RECIPIENT", Short: "Show a recipient", Args: command.Arguments("RECIPIENT"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			r := &outboundv1.Recipient{}
			if err := c.Call(ctx, http.MethodGet, client.RecipientPath(args[0]), nil, r); err != nil {
				return err
			}
			return env.ShowFields(r)
		}),
	}
}

func deleteCommand(env *command.Env) *cobra.Command {
	var etag string
	cmd := &cobra.Command{
		Use: "delete RECIPIENT", Short: "Delete a recipient and cancel its pending deliveries", Args: command.Arguments("RECIPIENT"),
	}
	command.YesFlag(cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		if err := env.Confirm(cmd, "Delete recipient "+args[0]+" and cancel its pending deliveries?"); err != nil {
			return err
		}
		query := url.Values{}
		if etag != "" {
			query.Set("etag", etag)
		}
		if err := c.Call(ctx, http.MethodDelete, client.RecipientPath(args[0])+"?"+query.Encode(), nil, nil); err != nil {
			return err
		}
		env.Say("deleted recipient %s", args[0])
		return nil
	})
	cmd.Flags().StringVar(&etag, "etag", "", "fail if the recipient's etag is no longer this one")
	return cmd
}

func testCommand(env *command.Env) *cobra.Command {
	var eventType string
	var set []string
	var during bool
	cmd := &cobra.Command{
		Use:   "test RECIPIENT",
		Short: "Send a test event to a recipient on the normal delivery path",
		Args:  command.Arguments("RECIPIENT"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			req := &outboundv1.TestRecipientRequest{EventType: eventType, DuringMaintenance: during}
			if len(set) > 0 {
				data, err := command.Pairs(set)
				if err != nil {
					return err
				}
				if req.Data, err = structpb.NewStruct(data); err != nil {
					return exit.Usagef("--set: %w", err)
				}
			}
			resp := &outboundv1.TestRecipientResponse{}
			if err := c.Call(ctx, http.MethodPost, client.RecipientPath(args[0])+":test", req, resp); err != nil {
				return err
			}
			return env.Show(resp, func() *output.Table {
				return &output.Table{Rows: [][]string{
					{fmt.Sprintf("queued test event %s: see outbound deliveries list --event %s", resp.GetEventId(), resp.GetEventId())},
				}}
			})
		}),
	}
	cmd.Flags().StringVar(&eventType, "event", "", "event type (default: the recipient's first)")
	duringFlag(cmd, &during)
	cmd.Flags().StringArrayVar(&set, "set", nil, "variable of the test event, as name=value; may be repeated")
	return cmd
}
