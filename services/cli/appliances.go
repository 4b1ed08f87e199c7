package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func appliances(env *app) *cobra.Command {
	return group("appliances", "Admit appliances, who publish events",
		appliancesAdd(env), appliancesList(env), appliancesSet(env), appliancesRotate(env), appliancesRevoke(env), appliancesNATSConfig(env))
}

func appliancesAdd(env *app) *cobra.Command {
	var name string
	var silentAfter time.Duration
	cmd := &cobra.Command{
		Use: "add APPLIANCE", Short: "Add an appliance and show its credentials, this once", Args: arguments("APPLIANCE"),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.Appliance{Id: args[0], DisplayName: name}
			if silentAfter > 0 {
				req.SilentAfter = durationpb.New(silentAfter)
			}
			if err := c.call(ctx, http.MethodPost, "/v1/appliances", req, made); err != nil {
				return err
			}
			return showCredentials(env, made)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "name people see")
	cmd.Flags().DurationVar(&silentAfter, "silent-after", 0, silentAfterHelp)
	return cmd
}

const silentAfterHelp = "tell the admin contacts if it publishes nothing for so long, 1m to 168h (default never)"

func appliancesSet(env *app) *cobra.Command {
	flags := []fieldFlag{
		textFlag("display-name", "displayName", "name people see"),
		durationFlag("silent-after", "silentAfter", silentAfterHelp+"; 0 is never"),
	}
	cmd := &cobra.Command{
		Use: "set APPLIANCE", Short: "Change the name of an appliance, or how long it may be silent", Args: arguments("APPLIANCE"),
		Example: "  outbound appliances set appliance-1 --silent-after 12h",
	}
	defineFields(cmd, flags)
	cmd.RunE = env.with(func(ctx context.Context, c *client, args []string) error {
		t, where, err := flagTree(env.Files, cmd, "", flags)
		if err != nil {
			return err
		}
		want, saved := &outboundv1.Appliance{}, &outboundv1.Appliance{}
		if err := fill(t, want, where); err != nil {
			return err
		}
		mask := maskOf(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return usage("nothing to change: name --display-name or --silent-after")
		}
		if want.GetSilentAfter() != nil && want.GetSilentAfter().AsDuration() == 0 {
			want.SilentAfter = nil // never
		}
		if err := c.patch(ctx, appliancePath(args[0]), want, mask, saved); err != nil {
			return err
		}
		return env.showFields(saved)
	})
	return cmd
}

func showCredentials(env *app, c *outboundv1.ApplianceCredentials) error {
	return env.show(c, func() *table {
		return &table{rows: [][]string{
			{"appliance", c.GetId()},
			{"NATS user", c.GetUser()},
			{"NATS password", c.GetPassword()},
			{"HTTP token", c.GetToken()},
			{"These are shown this once. A lost one is replaced by outbound appliances rotate " + c.GetId()},
		}}
	})
}

func appliancesList(env *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List appliances", Args: arguments(),
		RunE: env.with(func(ctx context.Context, c *client, _ []string) error {
			all := &outboundv1.ListAppliancesResponse{}
			if err := c.call(ctx, http.MethodGet, "/v1/appliances", nil, all); err != nil {
				return err
			}
			return env.show(all, func() *table {
				t := &table{head: []string{"ID", "NAME", "ADDED", "CREDENTIALS OF", "SILENT AFTER"}}
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

func appliancesRotate(env *app) *cobra.Command {
	return &cobra.Command{
		Use: "rotate APPLIANCE", Short: "Replace an appliance's credentials at once and show the new ones, this once",
		Args: arguments("APPLIANCE"),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.RotateApplianceRequest{}
			if err := c.call(ctx, http.MethodPost, appliancePath(args[0])+":rotate", req, made); err != nil {
				return err
			}
			return showCredentials(env, made)
		}),
	}
}

func appliancesRevoke(env *app) *cobra.Command {
	return &cobra.Command{
		Use: "revoke APPLIANCE", Short: "End an appliance's credentials and close its connections", Args: arguments("APPLIANCE"),
		RunE: env.with(func(ctx context.Context, c *client, args []string) error {
			if err := c.call(ctx, http.MethodDelete, appliancePath(args[0]), nil, nil); err != nil {
				return err
			}
			env.say("revoked appliance %s", args[0])
			return nil
		}),
	}
}
