package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

// application is one run of `apply`.
type application struct {
	*app
	files                                []string
	dryRun, exitCode, prune, yes, secret bool
}

func (a *app) apply() *cobra.Command {
	p := &application{app: a}
	cmd := &cobra.Command{
		Use:   "apply -f FILE|DIR",
		Short: "Apply a configuration file",
		Long: "Apply creates missing resources and updates the fields that a file sets and that differ. Fields and resources that\n" +
			"the file does not mention stay unchanged. A second run changes nothing.\n\n" +
			"A file holds one or more YAML or JSON documents with the keys eventTypes, customFields, smtp, email,\n" +
			"appliances and recipients. For a directory, all .yaml, .yml and .json files are read in the order of their names.\n" +
			"Recipients are matched by id, or by displayName if they have no id. The values ${file:PATH} and ${env:NAME} are read\n" +
			"from the file or the environment. Stored secrets can't be read back, so they stay unless --write-secrets is given.\n" +
			"Users and tokens can't be declared, because their secrets belong to people.\n\n" +
			"--prune deletes stored resources that the files do not mention, but only of the kinds that the files declare. It lists\n" +
			"them and asks first. The server validates every change before it makes the first one, and all errors are reported.\n" +
			"--dry-run stops after validation; with --exit-code, exit code 5 means that there is a difference.",
		Example: "  outbound apply -f outbound.yaml --dry-run\n  outbound apply -f outbound.yaml\n" +
			"  outbound apply -f declarations/ --prune\n  outbound export | outbound apply -f - --dry-run --exit-code",
		Args: arguments(),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&p.files, "file", "f", nil, "file or directory with the desired state; - reads standard input; may be repeated")
	f.BoolVar(&p.dryRun, "dry-run", false, "show the difference and all validation errors, and change nothing")
	f.BoolVar(&p.exitCode, "exit-code", false, "with --dry-run: exit with 5 if there is a difference")
	f.BoolVar(&p.prune, "prune", false, "delete resources that the files do not mention, of the kinds that they declare")
	f.BoolVar(&p.yes, "yes", false, "with --prune: do not ask for confirmation")
	f.BoolVar(&p.secret, "write-secrets", false, "overwrite stored secrets")
	cmd.RunE = a.with(p.run)
	return cmd
}

func (p *application) run(ctx context.Context, c *client, _ []string) error {
	switch {
	case len(p.files) == 0:
		return usage("apply needs -f FILE")
	case p.exitCode && !p.dryRun:
		return usage("--exit-code works only with --dry-run: add --dry-run")
	case p.yes && !p.prune:
		return usage("--yes works only with --prune: add --prune")
	}
	var w wanted
	for _, file := range p.files {
		p.readDeclarations(file, &w)
	}
	plan := &planner{client: c, secrets: p.secret, prune: p.prune, misshapen: w.misshapen}
	steps, err := plan.plan(ctx, w)
	if err != nil && len(plan.misshapen) > 0 {
		// What is wrong with the files can be said without the server.
		return faulty(nil, plan.misshapen)
	}
	if err != nil {
		return err
	}
	if p.dryRun {
		return p.showDryRun(ctx, c, steps, plan.misshapen)
	}
	// Everything is validated before the first change, so that an error does not leave half of the files applied.
	var much *tooMuch
	if err := check(ctx, c, steps); errors.As(err, &much) {
		_, _ = fmt.Fprintf(p.Err, "%v: changes are validated one by one as they are made\n", err)
	} else if err != nil {
		return err
	}
	if err := faulty(steps, plan.misshapen); err != nil {
		return err
	}
	if sure, err := p.askToDelete(steps); err != nil || !sure {
		return err
	}
	return p.carryOut(ctx, steps)
}

// declaration is what a file says of one resource.
type declaration struct {
	tree tree
	// where is the file, the document in it, and the key.
	where string
}

// wanted is what the documents of a file ask for, in the order in which it is done: recipients need the types.
type wanted struct {
	eventTypes, customFields, appliances, recipients []declaration
	smtp, email                                      []declaration
	// declared are the keys that stand in the files, those of empty lists too.
	declared []string
	// misshapen is all that could not be read.
	misshapen []error
}

func (w *wanted) read(file string, docs []tree) {
	for i, doc := range docs {
		for _, key := range slices.Sorted(maps.Keys(doc)) {
			where := fmt.Sprintf("%s, document %d, %s", file, i+1, key)
			switch key {
			case "eventTypes":
				w.addList(&w.eventTypes, doc[key], where)
			case "customFields":
				w.addList(&w.customFields, doc[key], where)
			case "appliances":
				w.addList(&w.appliances, doc[key], where)
			case "recipients":
				w.addList(&w.recipients, doc[key], where)
			case "smtp":
				w.addOne(&w.smtp, doc[key], where)
			case "email":
				w.addOne(&w.email, doc[key], where)
			default:
				w.refuse(usage("%s: unknown key: use eventTypes, customFields, smtp, email, appliances or recipients", where))
			}
			w.declared = append(w.declared, key)
		}
	}
}

func (w *wanted) refuse(err error) { w.misshapen = append(w.misshapen, err) }

func (w *wanted) addList(to *[]declaration, v any, where string) {
	l, ok := v.([]any)
	if !ok && v != nil {
		w.refuse(usage("%s: expected a list", where))
	}
	for i, x := range l {
		w.addOne(to, x, fmt.Sprintf("%s[%d]", where, i))
	}
}

func (w *wanted) addOne(to *[]declaration, v any, where string) {
	t, ok := v.(tree)
	if !ok {
		w.refuse(usage("%s: expected a mapping", where))
		return
	}
	*to = append(*to, declaration{tree: t, where: where})
}
