package recipients

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func createCommand(env *command.Env) *cobra.Command {
	var flags recipientFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a recipient, from a file or from flags",
		Example: "  outbound recipients create --name 'Ticket system' --url https://tickets.example.com/hook --event support_conference_end\n" +
			"  outbound recipients create --name Desk --to desk@example.com --event support_conference_end\n" +
			"  outbound recipients create -f recipient.yaml",
		Args: command.Arguments(),
	}
	flags.define(env, cmd, true)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		t, err := flags.tree(env.Files, cmd)
		if err != nil {
			return err
		}
		want, made := &outboundv1.Recipient{}, &outboundv1.Recipient{}
		if err := resource.Fill(t, want, flags.where()); err != nil {
			return err
		}
		if err := c.Call(ctx, http.MethodPost, "/v1/recipients", want, made); err != nil {
			return err
		}
		return showSaved(env, "created", made)
	})
	return cmd
}

func updateCommand(env *command.Env) *cobra.Command {
	var flags recipientFlags
	var etag string
	cmd := &cobra.Command{
		Use:     "update RECIPIENT",
		Short:   "Update fields of a recipient, from a file or from flags",
		Example: "  outbound recipients update ticket-system --retry-interval 1m --contact ops@example.com",
		Args:    command.Arguments("RECIPIENT"),
	}
	flags.define(env, cmd, false)
	cmd.Flags().StringVar(&etag, "etag", "", "fail if the recipient's etag is no longer this one")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		t, err := flags.tree(env.Files, cmd)
		if err != nil {
			return err
		}
		want, saved := &outboundv1.Recipient{}, &outboundv1.Recipient{}
		if err := resource.Fill(t, want, flags.where()); err != nil {
			return err
		}
		if etag != "" {
			want.Etag = etag
		}
		if setsSecrets(t) && !flags.replaceSecrets {
			if err := keepSecrets(ctx, c, args[0], want); err != nil {
				return err
			}
		}
		mask := resource.Mask(t, want.ProtoReflect().Descriptor(), "")
		if len(mask) == 0 {
			return exit.Usagef("nothing to change: set a field, see %q", cmd.CommandPath()+" --help")
		}
		if err := c.Patch(ctx, client.RecipientPath(args[0]), want, mask, saved); err != nil {
			return err
		}
		return showSaved(env, "changed", saved)
	})
	return cmd
}

// showSaved shows a saved recipient with its warnings and new signing secrets.
func showSaved(env *command.Env, what string, r *outboundv1.Recipient) error {
	if env.Structured() {
		return env.Show(r, nil)
	}
	env.Say("%s recipient %s", what, r.GetId())
	for _, n := range resource.Notes(r) {
		env.Say("%s", n)
	}
	return nil
}
