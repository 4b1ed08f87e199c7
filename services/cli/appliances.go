package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func appliances(env *command.Env) *cobra.Command {
	return command.Group("appliances", "Manage the appliances that publish events",
		appliancesAdd(env), appliancesList(env), appliancesSet(env), appliancesRotate(env), appliancesRevoke(env), appliancesNATSConfig(env))
}

func appliancesAdd(env *command.Env) *cobra.Command {
	var name string
	var silentAfter time.Duration
	cmd := &cobra.Command{
		Use: "add APPLIANCE", Short: "Add an appliance; its credentials are shown only once", Args: command.Arguments("APPLIANCE"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.Appliance{Id: args[0], DisplayName: name}
			if silentAfter > 0 {
				req.SilentAfter = durationpb.New(silentAfter)
			}
			if err := c.Call(ctx, http.MethodPost, "/v1/appliances", req, made); err != nil {
				return err
			}
			return showCredentials(env, made)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "display name")
	command.NameFields(cmd, map[string]string{"silentAfter": "silent-after", "displayName": "name"})
	command.DurationVar(cmd.Flags(), &silentAfter, "silent-after", silentAfterHelp)
	return cmd
}

const silentAfterHelp = "alert the admin contacts if it publishes nothing for this long, 1m to 168h (default never)"

func appliancesSet(env *command.Env) *cobra.Command {
	flags := []command.FieldFlag{
		command.TextFlag("display-name", "displayName", "display name"),
		command.DurationFlag("silent-after", "silentAfter", silentAfterHelp+"; 0 turns the alert off"),
		command.IntFlag("max-events-per-second", "maxEventsPerSecond", "events that it may publish per second; 0: the default of ingest"),
		command.IntFlag("max-bytes-per-second", "maxBytesPerSecond", "bytes of events that it may publish per second; 0: the default of ingest"),
	}
	cmd := &cobra.Command{
		Use: "set APPLIANCE", Short: "Update an appliance's name, its silence alert or its limits", Args: command.Arguments("APPLIANCE"),
		Example: "  outbound appliances set appliance-1 --silent-after 12h",
	}
	command.DefineFields(cmd, flags)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		t, where, err := command.FlagTree(env.Files, cmd, "", flags)
		if err != nil {
			return err
		}
		want, saved := &outboundv1.Appliance{}, &outboundv1.Appliance{}
		if err := resource.Fill(t, want, where); err != nil {
			return err
		}
		mask := resource.Mask(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return exit.Usagef("nothing to change: set --display-name, --silent-after, --max-events-per-second or --max-bytes-per-second")
		}
		if want.GetSilentAfter() != nil && want.GetSilentAfter().AsDuration() == 0 {
			want.SilentAfter = nil // never
		}
		if err := c.Patch(ctx, client.AppliancePath(args[0]), want, mask, saved); err != nil {
			return err
		}
		return env.ShowFields(saved)
	})
	return cmd
}

func showCredentials(env *command.Env, c *outboundv1.ApplianceCredentials) error {
	return env.Show(c, func() *output.Table {
		return &output.Table{Rows: [][]string{
			{"appliance", c.GetId()},
			{"NATS user", c.GetUser()},
			{"NATS password", c.GetPassword()},
			{"HTTP token", c.GetToken()},
			{"These credentials are shown only once. To replace lost ones, run outbound appliances rotate " + c.GetId()},
		}}
	})
}

func appliancesList(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List appliances", Args: command.Arguments(),
		RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &outboundv1.ListAppliancesResponse{}
			if err := c.Call(ctx, http.MethodGet, "/v1/appliances", nil, all); err != nil {
				return err
			}
			return env.Show(all, func() *output.Table {
				t := &output.Table{Head: []string{"ID", "NAME", "ADDED", "CREDENTIALS SET", "SILENT AFTER"}}
				for _, x := range all.GetAppliances() {
					since := x.GetRotateTime()
					if since == nil {
						since = x.GetCreateTime()
					}
					t.Add(x.GetId(), output.Dash(x.GetDisplayName()), output.Clock(x.GetCreateTime()), output.Clock(since), silence(x))
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
	return output.Duration(x.GetSilentAfter().AsDuration())
}

func appliancesRotate(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "rotate APPLIANCE", Short: "Replace an appliance's credentials immediately; the new ones are shown only once",
		Args: command.Arguments("APPLIANCE"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.RotateApplianceRequest{}
			if err := c.Call(ctx, http.MethodPost, client.AppliancePath(args[0])+":rotate", req, made); err != nil {
				return err
			}
			return showCredentials(env, made)
		}),
	}
}

func appliancesRevoke(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "revoke APPLIANCE", Short: "Revoke an appliance's credentials and close its connections", Args: command.Arguments("APPLIANCE"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.Call(ctx, http.MethodDelete, client.AppliancePath(args[0]), nil, nil); err != nil {
				return err
			}
			env.Say("revoked appliance %s", args[0])
			return nil
		}),
	}
}
