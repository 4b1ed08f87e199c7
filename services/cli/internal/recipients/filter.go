package recipients

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func testFilterCommand(env *command.Env) *cobra.Command {
	var types []string
	var events int32
	cmd := &cobra.Command{
		Use:     "test-filter EXPRESSION",
		Short:   "Test a filter on recent events, without saving it",
		Example: `  outbound recipients test-filter 'event.type == "support_conference_end" && int(vars.duration) > 600'`,
		Args:    command.Arguments("EXPRESSION"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			resp := &outboundv1.TestFilterResponse{}
			req := &outboundv1.TestFilterRequest{Filter: args[0], EventTypes: types, Events: events}
			if err := c.Call(ctx, http.MethodPost, "/v1/recipients:testFilter", req, resp); err != nil {
				return err
			}
			if err := env.Show(resp, func() *output.Table { return filterTable(resp) }); err != nil {
				return err
			}
			env.Say("%d of %d events would be sent", resp.GetMatching(), len(resp.GetResults()))
			return nil
		}),
	}
	cmd.Flags().StringArrayVar(&types, "event", nil, "event type to test; may be repeated (default: all)")
	cmd.Flags().Int32Var(&events, "events", 0, "number of recent events to test, at most 1000 (default 100)")
	return cmd
}

func filterTable(resp *outboundv1.TestFilterResponse) *output.Table {
	t := &output.Table{Head: []string{"EVENT", "TYPE", "SENT", "REASON"}}
	for _, r := range resp.GetResults() {
		t.Add(r.GetEventId(), r.GetEventType(), output.Yes(r.GetMatches()), output.Short(r.GetError()))
	}
	return t
}
