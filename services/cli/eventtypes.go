package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func eventTypes(env *command.Env) *cobra.Command {
	return command.Group("event-types", "List event types and manage custom ones",
		eventTypesList(env), eventTypesGet(env), eventTypesCreate(env), deleteCommand(env, "EVENT_TYPE", "event type", "/v1/event-types/"))
}

func eventTypesList(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List event types", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &outboundv1.ListEventTypesResponse{}
			if err := c.Call(ctx, http.MethodGet, "/v1/event-types", nil, all); err != nil {
				return err
			}
			return env.Show(all, func() *output.Table {
				t := &output.Table{Head: []string{"ID", "NAME", "PRODUCT", "EMAIL", "BUILT IN"}}
				for _, x := range all.GetEventTypes() {
					t.Add(x.GetId(), x.GetDisplayName(), output.Dash(x.GetProduct()), output.Yes(x.GetEmail()), output.Yes(x.GetBuiltIn()))
				}
				return t
			})
		}),
	}
}

func eventTypesGet(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "get EVENT_TYPE", Short: "Show an event type and its variables", Args: command.Arguments("EVENT_TYPE"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			t := &outboundv1.EventType{}
			if err := c.Call(ctx, http.MethodGet, "/v1/event-types/"+url.PathEscape(args[0]), nil, t); err != nil {
				return err
			}
			return env.ShowFields(t)
		}),
	}
}

func eventTypesCreate(env *command.Env) *cobra.Command {
	var name, product, file string
	var email bool
	cmd := &cobra.Command{Use: "create EVENT_TYPE", Short: "Create a custom event type", Args: command.Arguments("EVENT_TYPE")}
	cmd.Flags().StringVar(&name, "name", "", "display name")
	cmd.Flags().StringVar(&product, "product", "", "product that publishes it")
	cmd.Flags().BoolVar(&email, "email", false, "allow it for email recipients")
	cmd.Flags().StringVarP(&file, "file", "f", "", "YAML or JSON file with the type and its variables; - reads standard input")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		want, saved := &outboundv1.EventType{}, &outboundv1.EventType{}
		if file != "" {
			t, err := env.Files.Document(file)
			if err != nil {
				return err
			}
			if err := resource.Fill(t, want, file); err != nil {
				return err
			}
		}
		want.Id = args[0]
		if name != "" {
			want.DisplayName = name
		}
		if product != "" {
			want.Product = product
		}
		want.Email = want.GetEmail() || email
		if err := c.Call(ctx, http.MethodPost, "/v1/event-types", want, saved); err != nil {
			return err
		}
		return env.ShowFields(saved)
	})
	return cmd
}
