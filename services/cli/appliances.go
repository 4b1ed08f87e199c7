package cli

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (a *app) appliances() *cobra.Command {
	return group("appliances", "Manage the appliances that publish events",
		a.appliancesAdd(), a.appliancesList(), a.appliancesSet(), a.appliancesRotate(), a.appliancesRevoke(), a.appliancesNATSConfig())
}

func appliancePath(id string) string { return "/v1/appliances/" + url.PathEscape(id) }

func (a *app) appliancesAdd() *cobra.Command {
	var name string
	var silentAfter time.Duration
	cmd := &cobra.Command{
		Use: "add APPLIANCE", Short: "Add an appliance; its credentials are shown only once", Args: arguments("APPLIANCE"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.Appliance{Id: args[0], DisplayName: name}
			if silentAfter > 0 {
				req.SilentAfter = durationpb.New(silentAfter)
			}
			if err := c.call(ctx, http.MethodPost, "/v1/appliances", req, made); err != nil {
				return err
			}
			return a.showCredentials(made)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "display name")
	cmd.Flags().DurationVar(&silentAfter, "silent-after", 0, silentAfterHelp)
	return cmd
}

const silentAfterHelp = "alert the admin contacts if it publishes nothing for this long, 1m to 168h (default never)"

func (a *app) appliancesSet() *cobra.Command {
	flags := []fieldFlag{
		{"display-name", "displayName", flagText, "display name"},
		{"silent-after", "silentAfter", flagDuration, silentAfterHelp + "; 0 turns the alert off"},
	}
	cmd := &cobra.Command{
		Use: "set APPLIANCE", Short: "Update an appliance's name or its silence alert", Args: arguments("APPLIANCE"),
		Example: "  outbound appliances set appliance-1 --silent-after 12h",
	}
	for _, x := range flags {
		defineFlag(cmd, x.flag, x.kind, x.help)
	}
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		t, where, err := a.settingsTree(cmd, "", flags)
		if err != nil {
			return err
		}
		want, saved := &outboundv1.Appliance{}, &outboundv1.Appliance{}
		if err := fill(t, want, where); err != nil {
			return err
		}
		mask := maskOf(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return usage("nothing to change: set --display-name or --silent-after")
		}
		if want.GetSilentAfter() != nil && want.GetSilentAfter().AsDuration() == 0 {
			want.SilentAfter = nil // never
		}
		if err := c.patch(ctx, appliancePath(args[0]), want, mask, saved); err != nil {
			return err
		}
		return a.showFields(saved)
	})
	return cmd
}

func (a *app) showCredentials(c *outboundv1.ApplianceCredentials) error {
	return a.show(c, func() *table {
		return &table{rows: [][]string{
			{"appliance", c.GetId()},
			{"NATS user", c.GetUser()},
			{"NATS password", c.GetPassword()},
			{"HTTP token", c.GetToken()},
			{"These credentials are shown only once. To replace lost ones, run outbound appliances rotate " + c.GetId()},
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
				t := &table{head: []string{"ID", "NAME", "ADDED", "CREDENTIALS SET", "SILENT AFTER"}}
				for _, x := range all.GetAppliances() {
					since := x.GetRotateTime()
					if since == nil {
						since = x.GetCreateTime()
					}
					t.add(x.GetId(), dash(x.GetDisplayName()), clock(x.GetCreateTime()), clock(since), silence(x))
				}
				return t
			})
		}),
	}
}

// silence is how long an appliance may be silent.
func silence(x *outboundv1.Appliance) string {
	if x.GetSilentAfter() == nil {
		return "-"
	}
	return x.GetSilentAfter().AsDuration().String()
}

func (a *app) appliancesRotate() *cobra.Command {
	return &cobra.Command{
		Use: "rotate APPLIANCE", Short: "Replace an appliance's credentials immediately; the new ones are shown only once",
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
		Use: "revoke APPLIANCE", Short: "Revoke an appliance's credentials and close its connections", Args: arguments("APPLIANCE"),
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			if err := c.call(ctx, http.MethodDelete, appliancePath(args[0]), nil, nil); err != nil {
				return err
			}
			a.say("revoked appliance %s", args[0])
			return nil
		}),
	}
}
