package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) customFields() *cobra.Command {
	return group("custom-fields", "Manage custom fields of sessions",
		a.customFieldsList(), a.customFieldsSave("create CODE_NAME", "Create a custom field", true),
		a.customFieldsSave("update CODE_NAME", "Update a custom field's display name", false),
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
	cmd.Flags().StringVar(&name, "name", "", "display name, unique")
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

func (a *app) eventTypes() *cobra.Command {
	return group("event-types", "List event types and manage custom ones",
		a.eventTypesList(), a.eventTypesGet(), a.eventTypesCreate(), a.deleteCommand("EVENT_TYPE", "event type", "/v1/event-types/"))
}

func (a *app) eventTypesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List event types", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListEventTypesResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/event-types", nil, all); err != nil {
				return err
			}
			return a.show(all, func() *table {
				t := &table{head: []string{"ID", "NAME", "PRODUCT", "EMAIL", "BUILT IN"}}
				for _, x := range all.GetEventTypes() {
					t.add(x.GetId(), x.GetDisplayName(), dash(x.GetProduct()), yes(x.GetEmail()), yes(x.GetBuiltIn()))
				}
				return t
			})
		}),
	}
}

func (a *app) eventTypesGet() *cobra.Command {
	return &cobra.Command{
		Use: "get EVENT_TYPE", Short: "Show an event type and its variables", Args: arguments("EVENT_TYPE"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			t := &outboundv1.EventType{}
			if err := c.call(ctx, http.MethodGet, "/v1/event-types/"+url.PathEscape(args[0]), nil, t); err != nil {
				return err
			}
			return a.showFields(t)
		}),
	}
}

func (a *app) eventTypesCreate() *cobra.Command {
	var name, product, file string
	var email bool
	cmd := &cobra.Command{Use: "create EVENT_TYPE", Short: "Create a custom event type", Args: arguments("EVENT_TYPE")}
	cmd.Flags().StringVar(&name, "name", "", "display name")
	cmd.Flags().StringVar(&product, "product", "", "product that publishes it")
	cmd.Flags().BoolVar(&email, "email", false, "allow it for email recipients")
	cmd.Flags().StringVarP(&file, "file", "f", "", "YAML or JSON file with the type and its variables; - reads standard input")
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		want, saved := &outboundv1.EventType{}, &outboundv1.EventType{}
		if file != "" {
			t, err := a.readTree(file)
			if err != nil {
				return err
			}
			if err := fill(t, want, file); err != nil {
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
		if err := c.call(ctx, http.MethodPost, "/v1/event-types", want, saved); err != nil {
			return err
		}
		return a.showFields(saved)
	})
	return cmd
}
