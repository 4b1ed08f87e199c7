package recipients

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

const (
	policyHold = outboundv1.Recipient_WhileDisabled_HOLD
	policySkip = outboundv1.Recipient_WhileDisabled_SKIP
)

func enableCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "enable RECIPIENT", Short: "Resume sending events to a recipient", Args: command.Arguments("RECIPIENT"),
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			saved := &outboundv1.Recipient{}
			want := &outboundv1.Recipient{Enabled: proto.Bool(true)}
			if err := c.Patch(ctx, client.RecipientPath(args[0]), want, []string{"enabled"}, saved); err != nil {
				return err
			}
			return showSaved(env, "enabled", saved)
		}),
	}
}

func disableCommand(env *command.Env) *cobra.Command {
	var hold, skip bool
	cmd := &cobra.Command{
		Use: "disable RECIPIENT", Short: "Stop sending events to a recipient, and hold or skip them", Args: command.Arguments("RECIPIENT"),
		Example: "  outbound recipients disable ticket-system --hold\n  outbound recipients disable ticket-system --skip",
	}
	cmd.Flags().BoolVar(&hold, "hold", false, "hold events until it is enabled again, up to 7 days")
	cmd.Flags().BoolVar(&skip, "skip", false,
		"record events as SKIPPED and do not send them (default: as the recipient is set; asked on a terminal)")
	cmd.MarkFlagsMutuallyExclusive("hold", "skip")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		want, mask := &outboundv1.Recipient{Enabled: proto.Bool(false)}, []string{"enabled"}
		switch {
		case hold:
			want.WhileDisabled = policyHold
		case skip:
			want.WhileDisabled = policySkip
		case env.InTerminal:
			var err error
			if want.WhileDisabled, err = askPolicy(ctx, env, c, args[0]); err != nil {
				return err
			}
		}
		if want.GetWhileDisabled() != 0 {
			mask = append(mask, "while_disabled")
		}
		saved := &outboundv1.Recipient{}
		if err := c.Patch(ctx, client.RecipientPath(args[0]), want, mask, saved); err != nil {
			return err
		}
		if err := showSaved(env, "disabled", saved); err != nil || env.Structured() {
			return err
		}
		env.Say("%s", policyWords(saved))
		return nil
	})
	return cmd
}

func policyWords(r *outboundv1.Recipient) string {
	if r.GetWhileDisabled() == policyHold {
		return "events are held until you enable it, for up to 7 days"
	}
	return "events are skipped from now on: to send them later, see outbound recipients backfill --help"
}

// askPolicy asks what happens to events while a recipient is disabled. No answer keeps what the recipient is set to.
func askPolicy(ctx context.Context, env *command.Env, c *client.Client, id string) (outboundv1.Recipient_WhileDisabled_Policy, error) {
	stored := &outboundv1.Recipient{}
	if err := c.Call(ctx, http.MethodGet, client.RecipientPath(id), nil, stored); err != nil {
		return 0, err
	}
	usual := strings.ToLower(stored.GetWhileDisabled().String())
	question := fmt.Sprintf("Hold the events of %s until it is enabled again, or skip them? hold or skip (default %s): ", id, usual)
	if _, err := fmt.Fprint(env.Err, output.Clean(question)); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(env.Files.In).ReadString('\n')
	if err != nil && line == "" {
		_, _ = fmt.Fprintln(env.Err)
		return 0, exit.Usagef("there was no answer: use --hold or --skip")
	}
	switch answer := strings.ToLower(strings.TrimSpace(line)); answer {
	case "":
		return stored.GetWhileDisabled(), nil
	case "hold", "h":
		return policyHold, nil
	case "skip", "s":
		return policySkip, nil
	default:
		return 0, exit.Usagef("%q is neither hold nor skip: nothing is changed", answer)
	}
}

func duringFlag(cmd *cobra.Command, during *bool) {
	cmd.Flags().BoolVar(during, "during-maintenance", false, "send it though a maintenance window of the recipient is open")
}

func probeCommand(env *command.Env) *cobra.Command {
	var during bool
	cmd := &cobra.Command{
		Use: "probe RECIPIENT", Short: "Attempt a delivery now to a recipient that its breaker pauses", Args: command.Arguments("RECIPIENT"),
		Example: "  outbound recipients probe ticket-system",
	}
	duringFlag(cmd, &during)
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		resp := &outboundv1.ProbeRecipientResponse{}
		req := &outboundv1.ProbeRecipientRequest{DuringMaintenance: during}
		if err := c.Call(ctx, http.MethodPost, client.RecipientPath(args[0])+":probe", req, resp); err != nil {
			return err
		}
		return env.Show(resp, func() *output.Table {
			text := "attempting now; the breaker is not open, so that other deliveries are attempted when they are due"
			if resp.GetBreakerOpen() {
				text = "probing now; if the attempt succeeds, the queued deliveries follow"
			}
			t := &output.Table{Rows: [][]string{{text}}}
			if d := resp.GetDelivery(); d != nil {
				t.Rows = append(t.Rows, []string{fmt.Sprintf("see outbound deliveries get %s/%s", d.GetRecipientId(), d.GetEventId())})
			}
			return t
		})
	})
	return cmd
}
