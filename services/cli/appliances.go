package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) appliances() *cobra.Command {
	return group("appliances", "Admit appliances, who publish events",
		a.appliancesAdd(), a.appliancesList(), a.appliancesRotate(), a.appliancesRevoke(), a.appliancesNATSConfig())
}

func appliancePath(id string) string { return "/v1/appliances/" + url.PathEscape(id) }

func (a *app) appliancesAdd() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "add APPLIANCE", Short: "Add an appliance and show its credentials, this once", Args: arguments("APPLIANCE"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.Appliance{Id: args[0], DisplayName: name}
			if err := c.call(ctx, http.MethodPost, "/v1/appliances", req, made); err != nil {
				return err
			}
			return a.showCredentials(made)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "name people see")
	return cmd
}

func (a *app) showCredentials(c *outboundv1.ApplianceCredentials) error {
	return a.show(c, func() *table {
		return &table{rows: [][]string{
			{"appliance", c.GetId()},
			{"NATS user", c.GetUser()},
			{"NATS password", c.GetPassword()},
			{"HTTP token", c.GetToken()},
			{"These are shown this once. A lost one is replaced by outbound appliances rotate " + c.GetId()},
		}}
	})
}

func (a *app) appliancesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List appliances", Args: arguments(),
		RunE: a.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListAppliancesResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/appliances", nil, all); err != nil {
				return err
			}
			return a.show(all, func() *table {
				t := &table{head: []string{"ID", "NAME", "ADDED", "CREDENTIALS OF"}}
				for _, x := range all.GetAppliances() {
					since := x.GetRotateTime()
					if since == nil {
						since = x.GetCreateTime()
					}
					t.add(x.GetId(), dash(x.GetDisplayName()), clock(x.GetCreateTime()), clock(since))
				}
				return t
			})
		}),
	}
}

func (a *app) appliancesRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate APPLIANCE", Short: "Replace an appliance's credentials at once and show the new ones, this once",
		Args: arguments("APPLIANCE"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.RotateApplianceRequest{}
			if err := c.call(ctx, http.MethodPost, appliancePath(args[0])+":rotate", req, made); err != nil {
				return err
			}
			return a.showCredentials(made)
		}),
	}
}

func (a *app) appliancesRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke APPLIANCE", Short: "End an appliance's credentials and close its connections", Args: arguments("APPLIANCE"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			if err := c.call(ctx, http.MethodDelete, appliancePath(args[0]), nil, nil); err != nil {
				return err
			}
			a.say("revoked appliance %s", args[0])
			return nil
		}),
	}
}
