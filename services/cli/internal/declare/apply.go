// Package declare reads declarations of recipients and settings, plans what has to change, and applies or exports them.
package declare

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// application is one run of `apply`.
type application struct {
	*command.Env
	files                                []string
	dryRun, exitCode, prune, yes, secret bool
}

// ApplyCommand makes the command `apply`.
func ApplyCommand(env *command.Env) *cobra.Command {
	p := &application{Env: env}
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
		Args: command.Arguments(),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&p.files, "file", "f", nil, "file or directory with the desired state; - reads standard input; may be repeated")
	f.BoolVar(&p.dryRun, "dry-run", false, "show the difference and all validation errors, and change nothing")
	f.BoolVar(&p.exitCode, "exit-code", false, "with --dry-run: exit with 5 if there is a difference")
	f.BoolVar(&p.prune, "prune", false, "delete resources that the files do not mention, of the kinds that they declare")
	f.BoolVar(&p.yes, "yes", false, "with --prune: do not ask for confirmation")
	f.BoolVar(&p.secret, "write-secrets", false, "overwrite stored secrets")
	cmd.RunE = env.With(p.run)
	return cmd
}

func (p *application) run(ctx context.Context, c *client.Client, _ []string) error {
	switch {
	case len(p.files) == 0:
		return exit.Usagef("apply needs -f FILE")
	case p.exitCode && !p.dryRun:
		return exit.Usagef("--exit-code works only with --dry-run: add --dry-run")
	case p.yes && !p.prune:
		return exit.Usagef("--yes works only with --prune: add --prune")
	}
	var w wanted
	for _, file := range p.files {
		p.readDeclarations(file, &w)
	}
	if p.prune {
		w.refuseEmptied()
	}
	plan := &planner{client: c, secrets: p.secret, prune: p.prune, malformed: w.malformed, stored: map[string]int{}}
	steps, err := plan.plan(ctx, w)
	if err != nil && len(plan.malformed) > 0 {
		// Faults of the files are reported even if the server does not answer.
		return faulty(nil, plan.malformed)
	}
	if err != nil {
		return err
	}
	if p.dryRun {
		return p.showDryRun(ctx, c, steps, plan.malformed)
	}
	// Everything is checked before anything changes, so that a fault does not leave half of the files applied.
	var much *tooMuch
	if err := check(ctx, c, steps); errors.As(err, &much) {
		_, _ = fmt.Fprintf(p.Err, "%v: changes are validated one by one as they are made\n", err)
	} else if err != nil {
		return err
	}
	if err := faulty(steps, plan.malformed); err != nil {
		return err
	}
	if sure, err := p.askToDelete(steps, plan.stored); err != nil || !sure {
		return err
	}
	return p.carryOut(ctx, steps)
}
