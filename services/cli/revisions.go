package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// The words for revisions that need no number.
const (
	latestRevision   = "latest"
	previousRevision = "previous"
)

func (a *app) revisions() *cobra.Command {
	c := group("revisions", "Show the change history of the configuration and roll back", a.revisionsList(), a.revisionsShow(), a.revisionsRollBack())
	c.Long = "Show who changed the configuration and roll back changes.\n\n" +
		"Resources are named recipients/ID, settings/smtp, settings/email, custom-fields, event-types/ID, appliances/ID, users/NAME\n" +
		"and tokens/ID. Up to 64 revisions of each are kept."
	return c
}

// revisionsPage is how many revisions are asked for at once.
const revisionsPage = 500

// revisionsOf reads the newest revisions of a resource, or of all, at most limit; 0: all that are kept.
func (c *client) revisionsOf(ctx context.Context, resource string, limit int) ([]*outboundv1.Revision, error) {
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
		if err := c.call(ctx, http.MethodGet, "/v1/revisions?"+query.Encode(), nil, page); err != nil {
			return nil, err
		}
		out = append(out, page.GetRevisions()...)
		if page.GetNextPageToken() == "" || limit > 0 && len(out) >= limit {
			return out, nil
		}
		query.Set("pageToken", page.GetNextPageToken())
	}
}

func (a *app) revisionsList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "list [RESOURCE]", Short: "List changes, newest first", Args: cobra.MaximumNArgs(1),
		Example: "  outbound revisions list\n  outbound revisions list recipients/ticket-system --limit 10",
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			resource := ""
			if len(args) == 1 {
				resource = args[0]
			}
			found, err := c.revisionsOf(ctx, resource, limit)
			if err != nil {
				return err
			}
			return a.show(&outboundv1.ListRevisionsResponse{Revisions: found}, func() *table {
				t := &table{head: []string{"TIME", "REVISION", "RESOURCE", "ACTION", "BY", "CHANGED"}}
				for _, r := range found {
					t.add(clock(r.GetTime()), strconv.FormatUint(r.GetRevision(), 10), r.GetResource(), actionOf(r), dash(r.GetActor()), dash(short(strings.Join(changedPaths(r), ", "))))
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

// changedPaths returns the fields that a revision changed. It is empty for a new or deleted resource, where all of them changed.
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

func (a *app) revisionsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show RESOURCE REVISION", Short: "Show a revision and what it changed", Args: arguments("RESOURCE", "REVISION"),
		Example: "  outbound revisions show recipients/ticket-system 12\n  outbound revisions show settings/smtp latest",
		Long:    "Show a revision and what it changed. REVISION is a number from `revisions list`, or latest or previous.",
		RunE: a.with(func(ctx context.Context, c *client, args []string) error {
			all, err := c.revisionsOf(ctx, args[0], 0)
			if err != nil {
				return err
			}
			i, err := pickRevision(all, args[0], args[1])
			if err != nil {
				return err
			}
			if a.output != "table" {
				return a.show(all[i], nil)
			}
			return a.showRevision(all[i])
		}),
	}
}

func (a *app) showRevision(r *outboundv1.Revision) error {
	a.say("%s revision %d: %s by %s at %s", r.GetResource(), r.GetRevision(), actionOf(r), dash(r.GetActor()), clock(r.GetTime()))
	if len(r.GetChanges()) == 0 {
		a.say("no field changed")
		return nil
	}
	a.say("")
	return a.print(changesTable(r.GetChanges()))
}

func changesTable(changes []*outboundv1.Change) *table {
	t := &table{head: []string{"FIELD", "BEFORE", "AFTER"}}
	for _, c := range changes {
		t.add(c.GetPath(), dash(short(c.GetBefore())), dash(short(c.GetAfter())))
	}
	return t
}

// pickRevision finds a revision by its number or word. All are of one resource, newest first.
func pickRevision(all []*outboundv1.Revision, resource, which string) (int, error) {
	number, err := strconv.ParseUint(which, 10, 64)
	switch {
	case len(all) == 0:
		return 0, notKept(fmt.Sprintf("%s has no revisions", resource))
	case which == latestRevision:
		return 0, nil
	case which == previousRevision:
		i := slices.IndexFunc(all[1:], func(r *outboundv1.Revision) bool { return r.GetResourceJson() != "" })
		if i < 0 {
			return 0, notKept(fmt.Sprintf("%s has no revision before the current one", resource))
		}
		return i + 1, nil
	case err != nil:
		return 0, usage("%q is not a revision: use a number, latest or previous", which)
	}
	i := slices.IndexFunc(all, func(r *outboundv1.Revision) bool { return r.GetRevision() == number })
	if i < 0 {
		return 0, notKept(fmt.Sprintf("revision %d of %s is no longer stored: see outbound revisions list %s", number, resource, resource))
	}
	return i, nil
}

// notFoundError has the exit code for a missing resource.
type notFoundError struct{ text string }

func (e *notFoundError) Error() string { return e.text }
func (e *notFoundError) ExitCode() int { return ExitNotFound }

func notKept(text string) error { return &notFoundError{text: text} }

func (a *app) revisionsRollBack() *cobra.Command {
	var sure, dryRun bool
	cmd := &cobra.Command{
		Use: "roll-back RESOURCE REVISION", Short: "Roll a resource back to an earlier revision", Args: arguments("RESOURCE", "REVISION"),
		Example: "  outbound revisions roll-back recipients/ticket-system previous --dry-run\n  outbound revisions roll-back recipients/ticket-system 12 --yes",
		Long: "Roll a resource back to a revision, including its secrets; a deleted resource is created again. The difference is\n" +
			"shown first. REVISION is a number from `revisions list`, or previous.",
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "do not ask for confirmation")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the difference and change nothing")
	cmd.RunE = a.with(func(ctx context.Context, c *client, args []string) error {
		all, err := c.revisionsOf(ctx, args[0], 0)
		if err != nil {
			return err
		}
		i, err := pickRevision(all, args[0], args[1])
		if err != nil {
			return err
		}
		if a.output != "table" && !sure && !dryRun {
			return usage("roll-back with -o %s needs --yes", a.output)
		}
		back, err := backTo(all, i)
		if err != nil {
			return err
		}
		if dryRun && a.output != "table" {
			return a.show(back, nil)
		}
		if err := a.precheckRollback(back); err != nil || dryRun {
			return err
		}
		if !sure {
			if agreed, err := a.agree("Roll back?", "roll-back needs confirmation and there is no terminal: use --yes"); err != nil || !agreed {
				a.say("nothing was changed")
				return err
			}
		}
		done := &outboundv1.RollBackResponse{}
		in := &outboundv1.RollBackRequest{Resource: args[0], Revision: all[i].GetRevision()}
		if err := c.call(ctx, http.MethodPost, "/v1/revisions:rollBack", in, done); err != nil {
			return err
		}
		if a.output != "table" {
			return a.show(done.GetRevision(), nil)
		}
		a.say("%s is rolled back to revision %d; the new revision is %d", args[0], all[i].GetRevision(), done.GetRevision().GetRevision())
		return nil
	})
	return cmd
}

func (a *app) precheckRollback(back *outboundv1.Revision) error {
	if len(back.GetChanges()) == 0 {
		a.say("%s already matches revision %d: nothing to change", back.GetResource(), back.GetRolledBackTo())
		return nil
	}
	if a.output != "table" {
		return nil
	}
	a.say("%s would be rolled back to revision %d:", back.GetResource(), back.GetRolledBackTo())
	return a.print(changesTable(back.GetChanges()))
}

// backTo is what rolling back to the i-th revision would change, as far as can be seen from outside: of secrets it is known which
// were changed since, not to what.
func backTo(all []*outboundv1.Revision, i int) (*outboundv1.Revision, error) {
	is, err := fieldsOf(all[0])
	if err != nil {
		return nil, err
	}
	was, err := fieldsOf(all[i])
	if err != nil {
		return nil, err
	}
	out := &outboundv1.Revision{Resource: all[i].GetResource(), Action: "rolled back", RolledBackTo: all[i].GetRevision(), ResourceJson: all[i].GetResourceJson()}
	paths := maps.Clone(is)
	maps.Copy(paths, was)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if is[path] != was[path] {
			out.Changes = append(out.Changes, &outboundv1.Change{Path: path, Before: is[path], After: was[path]})
		}
	}
	secrets := map[string]bool{}
	for _, r := range all[:i] {
		for _, c := range r.GetChanges() {
			if isSecret(c) && !secrets[c.GetPath()] {
				secrets[c.GetPath()] = true
				out.Changes = append(out.Changes, &outboundv1.Change{Path: c.GetPath(), Before: "(secret)", After: "(secret from that revision)"})
			}
		}
	}
	return out, nil
}

// isSecret reports whether a changed field is a secret, by the placeholder shown instead of it.
func isSecret(c *outboundv1.Change) bool {
	shown := []string{"", `"set"`, `"changed"`}
	if !slices.Contains(shown, c.GetBefore()) || !slices.Contains(shown, c.GetAfter()) {
		return false
	}
	name := c.GetPath()[strings.LastIndex(c.GetPath(), ".")+1:]
	return slices.Contains([]string{"password", "token", "value", "clientSecret", "refreshToken", "privateKeyPem", "secret"}, name)
}

// fieldsOf are the values of a revision's resource by path; none if it was deleted then.
func fieldsOf(r *outboundv1.Revision) (map[string]string, error) {
	out := map[string]string{}
	if r.GetResourceJson() == "" {
		return out, nil
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader([]byte(r.GetResourceJson())))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read revision %d: %w", r.GetRevision(), err)
	}
	leaves(out, "", tree)
	return out, nil
}

// leaves writes each value in full, in JSON, by its path; a list is one value.
func leaves(out map[string]string, path string, v any) {
	fields, nested := v.(map[string]any)
	if !nested {
		// What was read from JSON can be written as JSON.
		raw, _ := json.Marshal(v)
		out[path] = string(raw)
		return
	}
	for key, x := range fields {
		if key != "createTime" && key != "updateTime" {
			leaves(out, strings.TrimPrefix(path+"."+key, "."), x)
		}
	}
}
