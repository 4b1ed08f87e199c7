package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func macros(env *app) *cobra.Command {
	return group("macros", "See what the texts of mails may contain", macrosList(env))
}

func macrosList(env *app) *cobra.Command {
	var types []string
	var defaults bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the macros of event types, with examples",
		Example: "  outbound macros list\n  outbound macros list --event support_conference_end\n" +
			"  outbound macros list --event support_conference_end --defaults",
		Args: arguments(),
	}
	cmd.Flags().StringArrayVar(&types, "event", nil, "event type; may be repeated (default: all that can be mailed)")
	cmd.Flags().BoolVar(&defaults, "defaults", false, "show the default texts in place of the macros")
	env.completeFlags(cmd, map[string]completion{"event": completeEventTypes})
	cmd.RunE = env.with(func(ctx context.Context, c *client, _ []string) error {
		all := &outboundv1.ListMacrosResponse{}
		if err := c.call(ctx, http.MethodGet, "/v1/macros?"+url.Values{"eventTypes": types}.Encode(), nil, all); err != nil {
			return err
		}
		if !env.structured() && defaults {
			sayDefaults(env, all)
			return nil
		}
		return env.show(all, func() *table { return macroTable(all) })
	})
	return cmd
}

// macroTable says in how many of the types asked for a macro is, where that is not all of them.
func macroTable(all *outboundv1.ListMacrosResponse) *table {
	types := 0
	for _, m := range all.GetMacros() {
		types = max(types, len(m.GetEventTypes()))
	}
	t := &table{head: []string{"MACRO", "IN", "EXAMPLE", "WHAT IT IS"}}
	for _, m := range all.GetMacros() {
		in := "all"
		if n := len(m.GetEventTypes()); n < types {
			in = fmt.Sprintf("%d of %d", n, types)
		}
		t.add("%"+m.GetName()+"%", in, dash(short(m.GetExample())), m.GetDescription())
	}
	return t
}

func sayDefaults(env *app, all *outboundv1.ListMacrosResponse) {
	for i, d := range all.GetDefaults() {
		if i > 0 {
			env.say("")
		}
		env.say("%s", d.GetEventType())
		env.say("  Subject: %s", d.GetText().GetSubject())
		env.say("")
		for line := range strings.SplitSeq(d.GetText().GetBody(), "\n") {
			env.say("  %s", line)
		}
	}
}
