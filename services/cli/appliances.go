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
	var never bool
	cmd := &cobra.Command{
		Use: "add APPLIANCE", Short: "Add an appliance; its credentials are shown only once", Args: command.Arguments("APPLIANCE"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.Appliance{Id: args[0], DisplayName: name, TokenNeverExpires: never}
			if silentAfter > 0 {
				req.SilentAfter = durationpb.New(silentAfter)
			}
			if err := c.Call(ctx, http.MethodPost, "/v1/appliances", req, made); err != nil {
				return err
			}
			return showCredentials(ctx, env, c, made)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "display name")
	command.NameFields(cmd, map[string]string{"silentAfter": "silent-after", "displayName": "name"})
	command.DurationVar(cmd.Flags(), &silentAfter, "silent-after", silentAfterHelp)
	cmd.Flags().BoolVar(&never, "token-never-expires", false, "the HTTP token never expires (default: after 90d)")
	return cmd
}

const silentAfterHelp = "alert the admin contacts if it publishes nothing for this long, 1m to 168h (default never)"

func appliancesSet(env *command.Env) *cobra.Command {
	flags := []command.FieldFlag{
		command.TextFlag("display-name", "displayName", "display name"),
		command.DurationFlag("silent-after", "silentAfter", silentAfterHelp+"; 0 turns the alert off"),
		command.IntFlag("max-events-per-second", "maxEventsPerSecond", "events that it may publish per second; 0: the default of ingest"),
		command.IntFlag("max-bytes-per-second", "maxBytesPerSecond", "bytes of events that it may publish per second; 0: the default of ingest"),
		command.BoolFlag("token-never-expires", "tokenNeverExpires", "the HTTP token never expires; false: it expires in 90d"),
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
			return exit.Usagef("nothing to change: set a field, see %q", cmd.CommandPath()+" --help")
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

// showCredentials shows new credentials, and in a table when the token expires.
func showCredentials(ctx context.Context, env *command.Env, server *client.Client, c *outboundv1.ApplianceCredentials) error {
	return env.Show(c, func() *output.Table {
		a := &outboundv1.Appliance{}
		// Without an answer the credentials, which are shown only once, are shown all the same.
		_ = server.Call(ctx, http.MethodGet, client.AppliancePath(c.GetId()), nil, a)
		t := &output.Table{Rows: [][]string{{"appliance", c.GetId()}, {"NATS user", c.GetUser()}}}
		if c.GetPassword() != "" {
			t.Add("NATS password", c.GetPassword())
		}
		t.Add("HTTP token", c.GetToken())
		if end := a.GetTokenExpireTime(); end != nil {
			t.Add("token expires", output.Clock(end))
		}
		t.Add("These credentials are shown only once. To replace lost ones, run outbound appliances rotate " + c.GetId())
		return t
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
				t := &output.Table{Head: []string{"ID", "NAME", "ADDED", "CREDENTIALS SET", "TOKEN EXPIRES", "SILENT AFTER"}}
				for _, x := range all.GetAppliances() {
					since := x.GetRotateTime()
					if since == nil {
						since = x.GetCreateTime()
					}
					t.Add(x.GetId(), output.Dash(x.GetDisplayName()), output.Clock(x.GetCreateTime()), output.Clock(since), tokenEnd(x),
						silence(x))
				}
				return t
			})
		}),
	}
}

// tokenEnd is when the HTTP token of an appliance expires.
func tokenEnd(x *outboundv1.Appliance) string {
	if x.GetTokenExpireTime() == nil {
		return "never"
	}
	return output.Clock(x.GetTokenExpireTime())
}

// silence is how long an appliance may be silent.
func silence(x *outboundv1.Appliance) string {
	if x.GetSilentAfter() == nil {
		return "-"
	}
	return output.Duration(x.GetSilentAfter().AsDuration())
}

func appliancesRotate(env *command.Env) *cobra.Command {
	var tokenOnly bool
	var overlap time.Duration
	cmd := &cobra.Command{
		Use: "rotate APPLIANCE", Short: "Replace an appliance's credentials immediately; the new ones are shown only once",
		Args: command.Arguments("APPLIANCE"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			made := &outboundv1.ApplianceCredentials{}
			req := &outboundv1.RotateApplianceRequest{TokenOnly: tokenOnly}
			if overlap != 0 {
				req.Overlap = durationpb.New(overlap)
			}
			if err := c.Call(ctx, http.MethodPost, client.AppliancePath(args[0])+":rotate", req, made); err != nil {
				return err
			}
			return showCredentials(ctx, env, c, made)
		}),
	}
	cmd.Flags().BoolVar(&tokenOnly, "token-only", false, "replace the HTTP token only; the NATS password stays")
	command.DurationVar(cmd.Flags(), &overlap, "overlap", "how long the old HTTP token is accepted too, at most 90d (default: not at all)")
	return cmd
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
