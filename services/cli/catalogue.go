package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) customFields() *cobra.Command {
	return group("custom-fields", "Define the custom fields of sessions",
		a.customFieldsList(), a.customFieldsSave("create CODE_NAME", "Create a custom field", true),
		a.customFieldsSave("update CODE_NAME", "Change a custom field's display name", false),
		a.deleteCommand("CODE_NAME", "custom field", "/v1/custom-fields/"))
}

func (a *app) customFieldsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List custom fields", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListCustomFieldsResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/custom-fields", nil, all); err != nil {
				return err
			}
			return a.show(all, func() *table {
				t := &table{head: []string{"CODE NAME", "NAME"}}
				for _, x := range all.GetCustomFields() {
					t.add(x.GetCodeName(), x.GetDisplayName())
				}
				return t
			})
		}),
	}
}

func (a *app) customFieldsSave(use, short string, create bool) *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: use, Short: short, Args: arguments("CODE_NAME")}
	cmd.Flags().StringVar(&name, "name", "", "name people see, unique")
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
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
		return a.showFields(saved)
	})
	return cmd
}

func (a *app) deleteCommand(argument, kind, path string) *cobra.Command {
	return &cobra.Command{
		Use: "delete " + argument, Short: "Delete one " + kind, Args: arguments(argument),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			if err := c.call(ctx, http.MethodDelete, path+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			a.say("deleted %s %s", kind, args[0])
			return nil
		}),
	}
}
