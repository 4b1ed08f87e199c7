package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

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
		Short: "Make recipients and settings as files say",
		Long: "Apply creates what is missing and changes the fields that a file names and that differ. Fields that it does not\n" +
			"name, and resources that it does not name, stay as they are. A second run changes nothing.\n\n" +
			"A file holds YAML or JSON, several documents if need be, with the keys eventTypes, customFields, smtp, email,\n" +
			"appliances and recipients. Of a folder, all .yaml, .yml and .json files are read, in the order of their names.\n" +
			"Recipients are found by id, or without one by displayName. A value that is ${file:PATH} or ${env:NAME} is read from\n" +
			"there. Nobody can read a stored secret back, so one that is stored stays, unless --write-secrets is given.\n" +
			"Users and tokens are not declared: their secrets belong to people.\n\n" +
			"--prune deletes what is there and not named, of the kinds whose keys stand in the files and of no other. It lists what\n" +
			"that is and asks first. With --dry-run --exit-code, exit code 5 says that there is a difference.",
		Example: "  outbound apply -f outbound.yaml --dry-run\n  outbound apply -f outbound.yaml\n" +
			"  outbound apply -f declarations/ --prune\n  outbound export | outbound apply -f - --dry-run --exit-code",
		Args: arguments(),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&p.files, "file", "f", nil, "file or folder with the wanted state; - is standard input; may be repeated")
	f.BoolVar(&p.dryRun, "dry-run", false, "show the difference and change nothing")
	f.BoolVar(&p.exitCode, "exit-code", false, "with --dry-run: exit with 5 if there is a difference")
	f.BoolVar(&p.prune, "prune", false, "delete what the files do not name, of the kinds they declare")
	f.BoolVar(&p.yes, "yes", false, "with --prune: do not ask")
	f.BoolVar(&p.secret, "write-secrets", false, "write secrets even where one is stored")
	cmd.RunE = a.with(p.run)
	return cmd
}

func (p *application) run(ctx context.Context, c *client, _ []string) error {
	switch {
	case len(p.files) == 0:
		return usage("apply needs -f FILE")
	case p.exitCode && !p.dryRun:
		return usage("--exit-code tells of a difference that was found and not made: give --dry-run too")
	case p.yes && !p.prune:
		return usage("--yes answers what --prune asks: give --prune too")
	}
	var w wanted
	for _, file := range p.files {
		if err := p.readDeclarations(file, &w); err != nil {
			return err
		}
	}
	steps, err := (&planner{client: c, secrets: p.secret, prune: p.prune}).plan(ctx, w)
	if err != nil {
		return err
	}
	if err := p.refuseMissing(steps); err != nil {
		return err
	}
	if sure, err := p.askToDelete(steps); err != nil || !sure {
		return err
	}
	return p.carryOut(ctx, steps)
}

// refuseMissing ends an apply before it begins if the files leave out secrets that are not stored here.
func (p *application) refuseMissing(steps []*step) error {
	var missing []string
	for _, s := range steps {
		for _, field := range s.Missing {
			missing = append(missing, s.Resource+": "+field)
		}
	}
	if p.dryRun || len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("nothing was changed: %d secrets are neither in the file nor stored here: write each as ${file:PATH} or ${env:NAME}: %s",
		len(missing), strings.Join(missing, "; "))
}

// wanted is what the documents of a file ask for, in the order in which it is done: recipients need the types.
type wanted struct {
	eventTypes, customFields, appliances, recipients []tree
	smtp, email                                      []tree
	// declared are the keys that stand in the files, those of empty lists too.
	declared []string
}

func (w *wanted) read(file string, docs []tree) error {
	for i, doc := range docs {
		for _, key := range slices.Sorted(maps.Keys(doc)) {
			where := fmt.Sprintf("%s, document %d, %s", file, i+1, key)
			var err error
			switch key {
			case "eventTypes":
				err = addList(&w.eventTypes, doc[key], where)
			case "customFields":
				err = addList(&w.customFields, doc[key], where)
			case "appliances":
				err = addList(&w.appliances, doc[key], where)
			case "recipients":
				err = addList(&w.recipients, doc[key], where)
			case "smtp":
				err = addOne(&w.smtp, doc[key], where)
			case "email":
				err = addOne(&w.email, doc[key], where)
			default:
				err = usage("%s: there is no such key: use eventTypes, customFields, smtp, email, appliances or recipients", where)
			}
			if err != nil {
				return err
			}
			w.declared = append(w.declared, key)
		}
	}
	return nil
}

func addList(to *[]tree, v any, where string) error {
	l, ok := v.([]any)
	if !ok && v != nil {
		return usage("%s: a list was expected", where)
	}
	for i, x := range l {
		if err := addOne(to, x, fmt.Sprintf("%s[%d]", where, i)); err != nil {
			return err
		}
	}
	return nil
}

func addOne(to *[]tree, v any, where string) error {
	t, ok := v.(tree)
	if !ok {
		return usage("%s: names and values were expected", where)
	}
	*to = append(*to, t)
	return nil
}
