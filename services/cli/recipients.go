package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func recipients(env *app) *cobra.Command {
	return group("recipients", "Define who gets which events",
		recipientsList(env), recipientsGet(env), recipientsCreate(env), recipientsUpdate(env), recipientsDelete(env),
		recipientsSwitch(env, "enable", "Send events to a recipient again", true),
		recipientsSwitch(env, "disable", "Stop sending events to a recipient", false),
		recipientsTest(env), recipientsPreview(env), recipientsDoctor(env), recipientsTestFilter(env), recipientsPurge(env))
}

func recipientsList(env *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List recipients", Args: arguments(),
		RunE: env.with(func(ctx context.Context, c *client, _ []string) error {
			all, err := c.allRecipients(ctx)
			if err != nil {
				return err
			}
			return env.show(all, func() *table {
				t := &table{head: []string{"ID", "NAME", "CHANNEL", "ENABLED", "EVENTS", "TARGET"}}
				for _, r := range all.GetRecipients() {
					channel, target := "http", r.GetHttp().GetUrl()
					if r.GetEmail() != nil {
						channel, target = "email", strings.Join(r.GetEmail().GetAddresses(), ",")
					}
					t.add(r.GetId(), r.GetDisplayName(), channel, recipientState(r), fmt.Sprint(len(r.GetEventTypes())), target)
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
	return yes(r.GetEnabled())
}

func recipientsGet(env *app) *cobra.Command {
	return &cobra.Command{
		Use: "get RECIPIENT", Short: "Show a recipient", Args: arguments("RECIPIENT"),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			r := &outboundv1.Recipient{}
			if err := c.call(ctx, http.MethodGet, recipientPath(args[0]), nil, r); err != nil {
				return err
			}
			return env.showFields(r)
		}),
	}
}

func recipientsDelete(env *app) *cobra.Command {
	var etag string
	cmd := &cobra.Command{
		Use: "delete RECIPIENT", Short: "Delete a recipient; what waits for it is cancelled", Args: arguments("RECIPIENT"),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			query := url.Values{}
			if etag != "" {
				query.Set("etag", etag)
			}
			if err := c.call(ctx, http.MethodDelete, recipientPath(args[0])+"?"+query.Encode(), nil, nil); err != nil {
				return err
			}
			env.say("deleted recipient %s", args[0])
			return nil
		}),
	}
	cmd.Flags().StringVar(&etag, "etag", "", "fail if the recipient was changed since it had this etag")
	return cmd
}

func recipientsSwitch(env *app, use, short string, enabled bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " RECIPIENT", Short: short, Args: arguments("RECIPIENT"),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			saved := &outboundv1.Recipient{}
			want := &outboundv1.Recipient{Enabled: proto.Bool(enabled)}
			if err := c.patch(ctx, recipientPath(args[0]), want, []string{"enabled"}, saved); err != nil {
				return err
			}
			return showSaved(env, use+"d", saved)
		}),
	}
}

func recipientsTest(env *app) *cobra.Command {
	var eventType string
	var set []string
	cmd := &cobra.Command{
		Use:   "test RECIPIENT",
		Short: "Send a test event to a recipient, on the path of any other",
		Args:  arguments("RECIPIENT"),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			req := &outboundv1.TestRecipientRequest{EventType: eventType}
			if len(set) > 0 {
				data, err := pairs(set)
				if err != nil {
					return err
				}
				if req.Data, err = structpb.NewStruct(data); err != nil {
					return usage("--set: %w", err)
				}
			}
			resp := &outboundv1.TestRecipientResponse{}
			if err := c.call(ctx, http.MethodPost, recipientPath(args[0])+":test", req, resp); err != nil {
				return err
			}
			return env.show(resp, func() *table {
				return &table{rows: [][]string{
					{fmt.Sprintf("queued test event %s: see outbound deliveries list --event %s", resp.GetEventId(), resp.GetEventId())},
				}}
			})
		}),
	}
	cmd.Flags().StringVar(&eventType, "event", "", "event type (default: the recipient's first)")
	cmd.Flags().StringArrayVar(&set, "set", nil, "variable of the test event, as in name=value; may be repeated")
	return cmd
}
