package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func (a *app) apply() *cobra.Command {
	var file string
	var dryRun, secrets bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make recipients and settings as a file says",
		Long: "Apply creates what is missing and changes the fields that the file names and that differ. Fields that it does not\n" +
			"name, and resources that it does not name, stay as they are. A second run changes nothing.\n\n" +
			"The file holds YAML or JSON, several documents if need be, with the keys eventTypes, customFields, smtp, email\n" +
			"and recipients. Recipients are found by id, or without one by displayName. A value that is ${file:PATH} or\n" +
			"${env:NAME} is read from there. Nobody can read a stored secret back, so one that is stored stays, unless\n" +
			"--write-secrets is given.",
		Example: "  outbound apply -f outbound.yaml --dry-run\n  outbound apply -f outbound.yaml",
		Args:    arguments(),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "file with the wanted state; - is standard input")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the difference and change nothing")
	cmd.Flags().BoolVar(&secrets, "write-secrets", false, "write secrets even where one is stored")
	cmd.RunE = a.with(func(ctx context.Context, c *client, _ []string) error {
		if file == "" {
			return usage("apply needs -f FILE")
		}
		docs, err := a.readTrees(file)
		if err != nil {
			return err
		}
		wanted, err := readWanted(file, docs)
		if err != nil {
			return err
		}
		p := &planner{client: c, secrets: secrets}
		steps, err := p.plan(ctx, wanted)
		if err != nil {
			return err
		}
		return a.carryOut(ctx, steps, dryRun)
	})
	return cmd
}

// wanted is what the documents of a file ask for, in the order in which it is done: recipients need the types.
type wanted struct {
	eventTypes, customFields, recipients []tree
	smtp, email                          []tree
}

func readWanted(file string, docs []tree) (wanted, error) {
	var w wanted
	for i, doc := range docs {
		for _, key := range slices.Sorted(maps.Keys(doc)) {
			where := fmt.Sprintf("%s, document %d, %s", file, i+1, key)
			var err error
			switch key {
			case "eventTypes":
				err = addList(&w.eventTypes, doc[key], where)
			case "customFields":
				err = addList(&w.customFields, doc[key], where)
			case "recipients":
				err = addList(&w.recipients, doc[key], where)
			case "smtp":
				err = addOne(&w.smtp, doc[key], where)
			case "email":
				err = addOne(&w.email, doc[key], where)
			default:
				err = usage("%s: there is no such key: use eventTypes, customFields, smtp, email or recipients", where)
			}
			if err != nil {
				return wanted{}, err
			}
		}
	}
	return w, nil
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

// step is one resource of a plan.
type step struct {
	Action   action   `json:"action"`
	Resource string   `json:"resource"`
	Changes  []change `json:"changes,omitempty"`
	// Notes are told after the step, e.g. a secret shown once.
	Notes []string `json:"notes,omitempty"`
	do    func(ctx context.Context, s *step) error
}

// action is what a step does.
type action string

const (
	actionCreate action = "create"
	actionChange action = "change"
	actionNone   action = "none"
)

// carryOut does the steps in their order and stops at the first that fails.
func (a *app) carryOut(ctx context.Context, steps []*step, dryRun bool) error {
	counts := map[action]int{}
	for _, s := range steps {
		if s.Action != actionNone && !dryRun {
			if err := s.do(ctx, s); err != nil {
				return fmt.Errorf("%s %s: %w", s.Action, s.Resource, err)
			}
		}
		counts[s.Action]++
		a.sayStep(s, dryRun)
	}
	if a.output != "table" {
		return a.showSteps(steps, dryRun)
	}
	format := "%d created, %d changed, %d unchanged"
	if dryRun {
		format = "%d to create, %d to change, %d unchanged; nothing was changed"
	}
	a.say(format, counts[actionCreate], counts[actionChange], counts[actionNone])
	return nil
}

func (a *app) sayStep(s *step, dryRun bool) {
	words := map[action]string{actionCreate: "created", actionChange: "changed", actionNone: "unchanged"}
	if dryRun {
		words = map[action]string{actionCreate: "to create:", actionChange: "to change:", actionNone: "unchanged"}
	}
	a.say("%s %s", words[s.Action], s.Resource)
	for _, c := range s.Changes {
		if s.Action == actionCreate {
			a.say("  %s: %s", c.Field, c.To)
			continue
		}
		a.say("  %s: %s -> %s", c.Field, c.From, c.To)
	}
	for _, n := range s.Notes {
		a.say("  %s", n)
	}
}

func (a *app) showSteps(steps []*step, dryRun bool) error {
	raw, err := json.Marshal(map[string]any{"dryRun": dryRun, "steps": steps})
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return a.showJSON(raw)
}
