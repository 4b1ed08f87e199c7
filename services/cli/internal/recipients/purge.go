package recipients

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func purgeCommand(env *command.Env) *cobra.Command {
	var dryRun bool
	var expect int64
	cmd := &cobra.Command{
		Use:   "purge RECIPIENT",
		Short: "Cancel what waits for a recipient",
		Long: "Cancel what waits for a recipient. How many deliveries that are must be said with --expect, so that nothing is cancelled\n" +
			"unseen; --dry-run counts them.",
		Example: "  outbound recipients purge ticket-system --dry-run\n  outbound recipients purge ticket-system --expect 42",
		Args:    command.Arguments("RECIPIENT"),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count them")
	cmd.Flags().Int64Var(&expect, "expect", -1, "how many deliveries wait; if there are more, nothing is cancelled")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		req := &outboundv1.PurgeRecipientRequest{ValidateOnly: dryRun || expect < 0}
		if expect >= 0 {
			req.ExpectedCount = &expect
		}
		resp := &outboundv1.PurgeRecipientResponse{}
		if err := c.Call(ctx, http.MethodPost, "/v1/recipients/"+url.PathEscape(args[0])+":purge", req, resp); err != nil {
			return err
		}
		if !dryRun && expect < 0 && resp.GetCancelled() > 0 {
			return exit.Usagef("%d deliveries wait for %s: say --expect %d if they are to be cancelled", resp.GetCancelled(), args[0],
				resp.GetCancelled())
		}
		return env.Show(resp, func() *output.Table {
			t := &output.Table{}
			if dryRun {
				t.Add(fmt.Sprintf("%d deliveries wait", resp.GetCancelled()))
			} else {
				t.Add(fmt.Sprintf("%d deliveries are cancelled", resp.GetCancelled()))
			}
			return t
		})
	})
	return cmd
}
