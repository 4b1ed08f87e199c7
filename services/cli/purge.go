package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func recipientsPurge(env *app) *cobra.Command {
	var dryRun bool
	var expect int64
	cmd := &cobra.Command{
		Use:   "purge RECIPIENT",
		Short: "Cancel what waits for a recipient",
		Long: "Cancel what waits for a recipient. How many deliveries that are must be said with --expect, so that nothing is cancelled\n" +
			"unseen; --dry-run counts them.",
		Example: "  outbound recipients purge ticket-system --dry-run\n  outbound recipients purge ticket-system --expect 42",
		Args:    arguments("RECIPIENT"),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count them")
	cmd.Flags().Int64Var(&expect, "expect", -1, "how many deliveries wait; if there are more, nothing is cancelled")
	cmd.RunE = env.with(func(ctx context.Context, c *client, args []string) error {
		req := &outboundv1.PurgeRecipientRequest{ValidateOnly: dryRun || expect < 0}
		if expect >= 0 {
			req.ExpectedCount = &expect
		}
		resp := &outboundv1.PurgeRecipientResponse{}
		if err := c.call(ctx, http.MethodPost, "/v1/recipients/"+url.PathEscape(args[0])+":purge", req, resp); err != nil {
			return err
		}
		if !dryRun && expect < 0 && resp.GetCancelled() > 0 {
			return usage("%d deliveries wait for %s: say --expect %d if they are to be cancelled", resp.GetCancelled(), args[0], resp.GetCancelled())
		}
		return env.show(resp, func() *table {
			t := &table{}
			if dryRun {
				t.add(fmt.Sprintf("%d deliveries wait", resp.GetCancelled()))
			} else {
				t.add(fmt.Sprintf("%d deliveries are cancelled", resp.GetCancelled()))
			}
			return t
		})
	})
	return cmd
}
