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
		Short: "Cancel all pending deliveries of a recipient",
		Long: "Cancel all pending deliveries of a recipient. --expect states how many there are, as a safeguard; --dry-run counts\n" +
			"them.",
		Example: "  outbound recipients purge ticket-system --dry-run\n  outbound recipients purge ticket-system --expect 42",
		Args:    command.Arguments("RECIPIENT"),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count the deliveries")
	cmd.Flags().Int64Var(&expect, "expect", -1, "expected number of pending deliveries; if there are more, nothing is cancelled")
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
			return exit.Usagef("%d deliveries are pending for %s: to cancel them, run again with --expect %d", resp.GetCancelled(), args[0],
				resp.GetCancelled())
		}
		return env.Show(resp, func() *output.Table {
			t := &output.Table{}
			if dryRun {
				t.Add(fmt.Sprintf("%d deliveries pending", resp.GetCancelled()))
			} else {
				t.Add(fmt.Sprintf("%d deliveries cancelled", resp.GetCancelled()))
			}
			return t
		})
	})
	return cmd
}
