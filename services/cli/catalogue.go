package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func customFields(env *command.Env) *cobra.Command {
	return command.Group("custom-fields", "Manage custom fields of sessions",
		customFieldsList(env), customFieldsSave(env, "create CODE_NAME", "Create a custom field", true),
		customFieldsSave(env, "update CODE_NAME", "Update a custom field's display name", false),
		deleteCommand(env, "CODE_NAME", "custom field", "/v1/custom-fields/"))
}

func customFieldsList(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List custom fields", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &outboundv1.ListCustomFieldsResponse{}
			if err := c.Call(ctx, http.MethodGet, "/v1/custom-fields", nil, all); err != nil {
				return err
			}
			return env.Show(all, func() *output.Table {
				t := &output.Table{Head: []string{"CODE NAME", "NAME"}}
				for _, x := range all.GetCustomFields() {
					t.Add(x.GetCodeName(), x.GetDisplayName())
				}
				return t
			})
		}),
	}
}

func customFieldsSave(env *command.Env, use, short string, create bool) *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: use, Short: short, Args: command.Arguments("CODE_NAME")}
	cmd.Flags().StringVar(&name, "name", "", "display name, unique")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		if name == "" {
			return exit.Usagef("%s needs --name", cmd.CommandPath())
		}
		saved := &outboundv1.CustomField{}
		var err error
		if create {
			err = c.Call(ctx, http.MethodPost, "/v1/custom-fields", &outboundv1.CustomField{CodeName: args[0], DisplayName: name}, saved)
		} else {
			want := &outboundv1.CustomField{DisplayName: name}
			err = c.Patch(ctx, "/v1/custom-fields/"+url.PathEscape(args[0]), want, []string{"display_name"}, saved)
		}
		if err != nil {
			return err
		}
		return env.ShowFields(saved)
	})
	return cmd
}

func deleteCommand(env *command.Env, argument, kind, path string) *cobra.Command {
	cmd := &cobra.Command{Use: "delete " + argument, Short: "Delete one " + kind, Args: command.Arguments(argument)}
	command.YesFlag(cmd)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		if err := env.Confirm(cmd, "Delete "+kind+" "+args[0]+"?"); err != nil {
			return err
		}
		if err := c.Call(ctx, http.MethodDelete, path+url.PathEscape(args[0]), nil, nil); err != nil {
			return err
		}
		env.Say("deleted %s %s", kind, args[0])
		return nil
	})
	return cmd
}
