package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func customFields(env *app) *cobra.Command {
	return group("custom-fields", "Define the custom fields of sessions",
		customFieldsList(env), customFieldsSave(env, "create CODE_NAME", "Create a custom field", true),
		customFieldsSave(env, "update CODE_NAME", "Change a custom field's display name", false),
		deleteCommand(env, "CODE_NAME", "custom field", "/v1/custom-fields/"))
}

func customFieldsList(env *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List custom fields", Args: arguments(),
		RunE: env.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListCustomFieldsResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/custom-fields", nil, all); err != nil {
				return err
			}
			return env.show(all, func() *table {
				t := &table{head: []string{"CODE NAME", "NAME"}}
				for _, x := range all.GetCustomFields() {
					t.add(x.GetCodeName(), x.GetDisplayName())
				}
				return t
			})
		}),
	}
}

func customFieldsSave(env *app, use, short string, create bool) *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: use, Short: short, Args: arguments("CODE_NAME")}
	cmd.Flags().StringVar(&name, "name", "", "name people see, unique")
	cmd.RunE = env.with(func(ctx context.Context, c *client, args []string) error {
		if name == "" {
			return usage("%s needs --name", cmd.CommandPath())
		}
		saved := &outboundv1.CustomField{}
		var err error
		if create {
			err = c.call(ctx, http.MethodPost, "/v1/custom-fields", &outboundv1.CustomField{CodeName: args[0], DisplayName: name}, saved)
		} else {
			want := &outboundv1.CustomField{DisplayName: name}
			err = c.patch(ctx, "/v1/custom-fields/"+url.PathEscape(args[0]), want, []string{"display_name"}, saved)
		}
		if err != nil {
			return err
		}
		return env.showFields(saved)
	})
	return cmd
}

func deleteCommand(env *app, argument, kind, path string) *cobra.Command {
	return &cobra.Command{
		Use: "delete " + argument, Short: "Delete one " + kind, Args: arguments(argument),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			if err := c.call(ctx, http.MethodDelete, path+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			env.say("deleted %s %s", kind, args[0])
			return nil
		}),
	}
}
