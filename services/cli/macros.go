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

func (a *app) macros() *cobra.Command {
	return group("macros", "List email template macros", a.macrosList())
}

func (a *app) macrosList() *cobra.Command {
	var types []string
	var defaults bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the macros of event types with examples",
		Example: "  outbound macros list\n  outbound macros list --event support_conference_end\n" +
			"  outbound macros list --event support_conference_end --defaults",
		Args: arguments(),
	}
	cmd.Flags().StringArrayVar(&types, "event", nil, "event type; may be repeated (default: all that can be emailed)")
	cmd.Flags().BoolVar(&defaults, "defaults", false, "show the default templates instead of the macros")
	a.completeFlags(cmd, map[string]completion{"event": completeEventTypes})
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		all := &outboundv1.ListMacrosResponse{}
		if err := c.call(ctx, http.MethodGet, "/v1/macros?"+url.Values{"eventTypes": types}.Encode(), nil, all); err != nil {
			return err
		}
		if a.output == "table" && defaults {
			a.sayDefaults(all)
			return nil
		}
		return a.show(all, func() *table { return macroTable(all) })
	})
	return cmd
}

// macroTable says in how many of the types asked for a macro is, where that is not all of them.
func macroTable(all *outboundv1.ListMacrosResponse) *table {
	types := 0
	for _, m := range all.GetMacros() {
		types = max(types, len(m.GetEventTypes()))
	}
	t := &table{head: []string{"MACRO", "IN", "EXAMPLE", "DESCRIPTION"}}
	for _, m := range all.GetMacros() {
		in := "all"
		if n := len(m.GetEventTypes()); n < types {
			in = fmt.Sprintf("%d of %d", n, types)
		}
		t.add("%"+m.GetName()+"%", in, dash(short(m.GetExample())), m.GetDescription())
	}
	return t
}

func (a *app) sayDefaults(all *outboundv1.ListMacrosResponse) {
	for i, d := range all.GetDefaults() {
		if i > 0 {
			a.say("")
		}
		a.say("%s", d.GetEventType())
		a.say("  Subject: %s", d.GetText().GetSubject())
		a.say("")
		for line := range strings.SplitSeq(d.GetText().GetBody(), "\n") {
			a.say("  %s", line)
		}
	}
}
