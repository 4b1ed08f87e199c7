package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func macros(env *command.Env) *cobra.Command {
	return command.Group("macros", "List email template macros", macrosList(env))
}

func macrosList(env *command.Env) *cobra.Command {
	var types []string
	var defaults bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the macros of event types with examples",
		Example: "  outbound macros list\n  outbound macros list --event support_conference_end\n" +
			"  outbound macros list --event support_conference_end --defaults",
		Args: command.Arguments(),
	}
	cmd.Flags().StringArrayVar(&types, "event", nil, "event type; may be repeated (default: all that can be emailed)")
	cmd.Flags().BoolVar(&defaults, "defaults", false, "show the default templates instead of the macros")
	env.CompleteFlags(cmd, map[string]command.Completion{"event": command.CompleteEventTypes})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		all := &outboundv1.ListMacrosResponse{}
		if err := c.Call(ctx, http.MethodGet, "/v1/macros?"+url.Values{"eventTypes": types}.Encode(), nil, all); err != nil {
			return err
		}
		if !env.Structured() && defaults {
			sayDefaults(env, all)
			return nil
		}
		return env.Show(all, func() *output.Table { return macroTable(all) })
	})
	return cmd
}

// macroTable lists macros, and in how many of the event types each one is.
func macroTable(all *outboundv1.ListMacrosResponse) *output.Table {
	types := 0
	for _, m := range all.GetMacros() {
		types = max(types, len(m.GetEventTypes()))
	}
	t := &output.Table{Head: []string{"MACRO", "IN", "EXAMPLE", "DESCRIPTION"}}
	for _, m := range all.GetMacros() {
		in := "all"
		if n := len(m.GetEventTypes()); n < types {
			in = fmt.Sprintf("%d of %d", n, types)
		}
		t.Add("%"+m.GetName()+"%", in, output.Dash(output.Short(m.GetExample())), m.GetDescription())
	}
	return t
}

func sayDefaults(env *command.Env, all *outboundv1.ListMacrosResponse) {
	for i, d := range all.GetDefaults() {
		if i > 0 {
			env.Say("")
		}
		env.Say("%s", d.GetEventType())
		env.Say("  Subject: %s", d.GetText().GetSubject())
		env.Say("")
		for line := range strings.SplitSeq(d.GetText().GetBody(), "\n") {
			env.Say("  %s", line)
		}
	}
}
