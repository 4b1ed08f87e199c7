// Package revisions holds the commands that list, compare and roll back revisions of the configuration.
package revisions

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// The words for revisions that need no number.
const (
	latestRevision   = "latest"
	previousRevision = "previous"
)

// Command makes the command `revisions`.
func Command(env *command.Env) *cobra.Command {
	c := command.Group("revisions", "Show the change history of the configuration and roll back", listCommand(env),
		showCommand(env), rollBackCommand(env))
	c.Long = "Show who changed the configuration and roll back changes.\n\n" +
		"Resources are named recipients/ID, settings/smtp, settings/email, custom-fields, event-types/ID, appliances/ID, users/NAME\n" +
		"and tokens/ID. Up to 64 revisions of each are kept."
	return c
}

// revisionsPage is the size of a page.
const revisionsPage = 500

// revisionsOf returns the newest revisions of a resource, or of all; at most limit, or all that are kept if it is 0.
func revisionsOf(ctx context.Context, c *client.Client, resource string, limit int) ([]*outboundv1.Revision, error) {
	query := url.Values{}
	if resource != "" {
		query.Set("resource", resource)
	}
	var out []*outboundv1.Revision
	for {
		size := revisionsPage
		if limit > 0 {
			size = min(size, limit-len(out))
		}
		query.Set("pageSize", strconv.Itoa(size))
		page := &outboundv1.ListRevisionsResponse{}
		if err := c.Call(ctx, http.MethodGet, "/v1/revisions?"+query.Encode(), nil, page); err != nil {
			return nil, err
		}
		out = append(out, page.GetRevisions()...)
		if page.GetNextPageToken() == "" || limit > 0 && len(out) >= limit {
			return out, nil
		}
		query.Set("pageToken", page.GetNextPageToken())
	}
}

func listCommand(env *command.Env) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list [RESOURCE]", Short: "List changes, newest first", Args: cobra.MaximumNArgs(1),
		Example: "  outbound revisions list\n  outbound revisions list recipients/ticket-system --limit 10",
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			resource := ""
			if len(args) == 1 {
				resource = args[0]
			}
			found, err := revisionsOf(ctx, c, resource, limit)
			if err != nil {
				return err
			}
			return env.Show(&outboundv1.ListRevisionsResponse{Revisions: found}, func() *output.Table {
				t := &output.Table{Head: []string{"TIME", "REVISION", "RESOURCE", "ACTION", "CREATED BY", "CHANGED"}}
				for _, r := range found {
					t.Add(output.Clock(r.GetTime()), strconv.FormatUint(r.GetRevision(), 10), r.GetResource(), actionOf(r),
						output.Dash(r.GetActor()), output.Dash(output.Short(strings.Join(changedPaths(r), ", "))))
				}
				return t
			})
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "maximum number to list; 0 lists all stored revisions")
	return cmd
}

func actionOf(r *outboundv1.Revision) string {
	if r.GetRolledBackTo() > 0 {
		return fmt.Sprintf("%s to %d", r.GetAction(), r.GetRolledBackTo())
	}
	return r.GetAction()
}

// changedPaths returns the fields that a revision changed; none for a new or deleted resource, where all of them changed.
func changedPaths(r *outboundv1.Revision) []string {
	if r.GetAction() == "created" || r.GetResourceJson() == "" {
		return nil
	}
	var out []string
	for _, c := range r.GetChanges() {
		out = append(out, c.GetPath())
	}
	return out
}

func showCommand(env *command.Env) *cobra.Command {
	return &cobra.Command{
		Use: "show RESOURCE REVISION", Short: "Show a revision and what it changed", Args: command.Arguments("RESOURCE", "REVISION"),
		Example: "  outbound revisions show recipients/ticket-system 12\n  outbound revisions show settings/smtp latest",
		Long:    "Show a revision and what it changed. REVISION is a number from `revisions list`, or latest or previous.",
		RunE: env.With(func(ctx context.Context, c *client.Client, args []string) error {
			all, err := revisionsOf(ctx, c, args[0], 0)
			if err != nil {
				return err
			}
			i, err := pickRevision(all, args[0], args[1])
			if err != nil {
				return err
			}
			if env.Structured() {
				return env.Show(all[i], nil)
			}
			return showRevision(env, all[i])
		}),
	}
}

func showRevision(env *command.Env, r *outboundv1.Revision) error {
	env.Say("%s revision %d: %s by %s at %s", r.GetResource(), r.GetRevision(), actionOf(r), output.Dash(r.GetActor()),
		output.Clock(r.GetTime()))
	if len(r.GetChanges()) == 0 {
		env.Say("no field changed")
		return nil
	}
	env.Say("")
	return env.Print(changesTable(r.GetChanges()))
}

func changesTable(changes []*outboundv1.Change) *output.Table {
	t := &output.Table{Head: []string{"FIELD", "BEFORE", "AFTER"}}
	for _, c := range changes {
		t.Add(c.GetPath(), output.Dash(output.Short(c.GetBefore())), output.Dash(output.Short(c.GetAfter())))
	}
	return t
}

// pickRevision finds a revision by its number or word. All are of one resource, newest first.
func pickRevision(all []*outboundv1.Revision, resource, which string) (int, error) {
	number, err := strconv.ParseUint(which, 10, 64)
	switch {
	case len(all) == 0:
		return 0, exit.NotFound(fmt.Sprintf("%s has no revisions", resource))
	case which == latestRevision:
		return 0, nil
	case which == previousRevision:
		i := slices.IndexFunc(all[1:], func(r *outboundv1.Revision) bool { return r.GetResourceJson() != "" })
		if i < 0 {
			return 0, exit.NotFound(fmt.Sprintf("%s has no revision before the current one", resource))
		}
		return i + 1, nil
	case err != nil:
		return 0, exit.Usagef("%q is not a revision: use a number, latest or previous", which)
	}
	i := slices.IndexFunc(all, func(r *outboundv1.Revision) bool { return r.GetRevision() == number })
	if i < 0 {
		return 0, exit.NotFound(fmt.Sprintf("revision %d of %s is no longer stored: see outbound revisions list %s", number, resource, resource))
	}
	return i, nil
}

func rollBackCommand(env *command.Env) *cobra.Command {
	var sure, dryRun bool
	cmd := &cobra.Command{
		Use: "roll-back RESOURCE REVISION", Short: "Roll a resource back to an earlier revision", Args: command.Arguments("RESOURCE", "REVISION"),
		Example: "  outbound revisions roll-back recipients/ticket-system previous --dry-run\n  outbound revisions roll-back " +
			"recipients/ticket-system 12 --yes",
		Long: "Roll a resource back to a revision, including its secrets; a deleted resource is created again. The difference is\n" +
			"shown first. REVISION is a number from `revisions list`, or previous.",
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "do not ask for confirmation")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the difference and change nothing")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, args []string) error {
		all, err := revisionsOf(ctx, c, args[0], 0)
		if err != nil {
			return err
		}
		i, err := pickRevision(all, args[0], args[1])
		if err != nil {
			return err
		}
		if env.Structured() && !sure && !dryRun {
			return exit.Usagef("roll-back with -o %s needs --yes", env.Format)
		}
		back, err := backTo(all, i)
		if err != nil {
			return err
		}
		if dryRun && env.Structured() {
			return env.Show(back, nil)
		}
		if err := precheckRollback(env, back); err != nil || dryRun {
			return err
		}
		if !sure {
			if agreed, err := env.Agree("Roll back?", "roll-back needs confirmation and there is no terminal: use --yes"); err != nil || !agreed {
				env.Say("nothing was changed")
				return err
			}
		}
		done := &outboundv1.RollBackResponse{}
		in := &outboundv1.RollBackRequest{Resource: args[0], Revision: all[i].GetRevision()}
		if err := c.Call(ctx, http.MethodPost, "/v1/revisions:rollBack", in, done); err != nil {
			return err
		}
		if env.Structured() {
			return env.Show(done.GetRevision(), nil)
		}
		env.Say("%s is rolled back to revision %d; the new revision is %d", args[0], all[i].GetRevision(), done.GetRevision().GetRevision())
		return nil
	})
	return cmd
}

func precheckRollback(env *command.Env, back *outboundv1.Revision) error {
	if len(back.GetChanges()) == 0 {
		env.Say("%s already matches revision %d: nothing to change", back.GetResource(), back.GetRolledBackTo())
		return nil
	}
	if env.Structured() {
		return nil
	}
	env.Say("%s would be rolled back to revision %d:", back.GetResource(), back.GetRolledBackTo())
	return env.Print(changesTable(back.GetChanges()))
}
