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
		Short: "Make recipients and settings as files say",
		Long: "Apply creates what is missing and changes the fields that a file names and that differ. Fields that it does not\n" +
			"name, and resources that it does not name, stay as they are. A second run changes nothing.\n\n" +
			"A file holds YAML or JSON, several documents if need be, with the keys eventTypes, customFields, smtp, email,\n" +
			"appliances and recipients. Of a folder, all .yaml, .yml and .json files are read, in the order of their names.\n" +
			"Recipients are found by id, or without one by displayName. A value that is ${file:PATH} or ${env:NAME} is read from\n" +
			"there. Nobody can read a stored secret back, so one that is stored stays, unless --write-secrets is given.\n" +
			"Users and tokens are not declared: their secrets belong to people.\n\n" +
			"--prune deletes what is there and not named, of the kinds whose keys stand in the files and of no other. It lists what\n" +
			"that is and asks first. The server checks all of it before anything is changed, and everything that is wrong is named.\n" +
			"--dry-run ends there; with --exit-code too, exit code 5 says that there is a difference.",
		Example: "  outbound apply -f outbound.yaml --dry-run\n  outbound apply -f outbound.yaml\n" +
			"  outbound apply -f declarations/ --prune\n  outbound export | outbound apply -f - --dry-run --exit-code",
		Args: command.Arguments(),
	}
	f := cmd.Flags()
	f.StringArrayVarP(&p.files, "file", "f", nil, "file or folder with the wanted state; - is standard input; may be repeated")
	f.BoolVar(&p.dryRun, "dry-run", false, "show the difference and all that the server would refuse, and change nothing")
	f.BoolVar(&p.exitCode, "exit-code", false, "with --dry-run: exit with 5 if there is a difference")
	f.BoolVar(&p.prune, "prune", false, "delete what the files do not name, of the kinds they declare")
	f.BoolVar(&p.yes, "yes", false, "with --prune: do not ask")
	f.BoolVar(&p.secret, "write-secrets", false, "write secrets even where one is stored")
	cmd.RunE = env.With(p.run)
	return cmd
}

func (p *application) run(ctx context.Context, c *client.Client, _ []string) error {
	switch {
	case len(p.files) == 0:
		return exit.Usagef("apply needs -f FILE")
	case p.exitCode && !p.dryRun:
		return exit.Usagef("--exit-code tells of a difference that was found and not made: give --dry-run too")
	case p.yes && !p.prune:
		return exit.Usagef("--yes answers what --prune asks: give --prune too")
	}
	var w wanted
	for _, file := range p.files {
		p.readDeclarations(file, &w)
	}
	plan := &planner{client: c, secrets: p.secret, prune: p.prune, malformed: w.malformed}
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
		_, _ = fmt.Fprintf(p.Err, "%v: what is wrong is told when it is met\n", err)
	} else if err != nil {
		return err
	}
	if err := faulty(steps, plan.malformed); err != nil {
		return err
	}
	if sure, err := p.askToDelete(steps); err != nil || !sure {
		return err
	}
	return p.carryOut(ctx, steps)
}
