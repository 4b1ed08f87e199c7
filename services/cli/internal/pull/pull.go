// Package pull holds the command `pull`: it fetches the deliveries that a receiver missed.
package pull

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// defaultLimit is how many deliveries are pulled if --limit does not say.
const defaultLimit = 100

// options are the flags of one run.
type options struct {
	*command.Env
	recipient   string
	after       uint64
	limit       int
	acknowledge bool
	postTo      string
	// pending says that --after was not given: only deliveries that are not final.
	pending bool
}

// Command makes the command `pull`.
func Command(env *command.Env) *cobra.Command {
	o := options{Env: env}
	cmd := &cobra.Command{
		Use: "pull RECIPIENT", Short: "Fetch the deliveries that a receiver missed, in their order",
		Long: "Pull fetches deliveries of an HTTP recipient in the order of their numbers (Outbound-Sequence), each as it would be sent now,\n" +
			"with its body and signatures. Without --after it fetches those that are not final; with --after also those that were\n" +
			"delivered, and it notes the numbers whose events are no longer stored.\n\n" +
			"--post-to sends each to a URL and stops at the first one that is not answered with 2xx, with exit code 1. --acknowledge\n" +
			"tells the server that the receiver has everything up to the last one that was shown or accepted: what is not final\n" +
			"ends as DELIVERED and is not sent any more.",
		Example: "  outbound pull ticket-system --after 41\n" +
			"  outbound pull ticket-system --limit 0 --post-to http://localhost:8080/hook --acknowledge\n" +
			"  outbound pull ticket-system --after 0 --limit 5 -o json",
		Args: command.Arguments("RECIPIENT"),
	}
	f := cmd.Flags()
	f.Uint64Var(&o.after, "after", 0, "number behind which deliveries begin; 0: the first stored one (default: those that are not final)")
	f.IntVar(&o.limit, "limit", defaultLimit, "deliveries at most; 0: all")
	f.BoolVar(&o.acknowledge, "acknowledge", false, "acknowledge what was shown, or accepted by --post-to: it is not sent any more")
	f.StringVar(&o.postTo, "post-to", "", "URL that each delivery with a body is posted to, with its headers, e.g. http://localhost:8080/hook")
	command.NameFields(cmd, map[string]string{"after": "after", "limit": "limit"})
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		o.recipient, o.pending = args[0], !f.Changed("after")
		return o.run(ctx, c)
	})
	return cmd
}

func (o *options) run(ctx context.Context, c *client.Client) error {
	if o.limit < 0 {
		return exit.Usagef("--limit must not be negative: 0 is for all")
	}
	to, err := newPoster(o.postTo)
	if err != nil {
		return err
	}
	defer to.close()
	r := &run{options: o, api: c, to: to}
	if !o.pending {
		r.after, r.before = &o.after, o.after
	}
	return r.do(ctx)
}
