package declare

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// carryOut performs the steps in order and stops at the first that fails.
func (p *application) carryOut(ctx context.Context, steps []*step) error {
	counts := map[action]int{}
	bar := p.Progress()
	defer bar.End()
	for i, s := range steps {
		if s.Action != actionNone && !p.dryRun {
			if err := s.do(ctx, s); err != nil {
				bar.End()
				return fmt.Errorf("%s %s: %w", s.Action, s.Resource, err)
			}
		}
		counts[s.Action]++
		bar.End()
		p.sayStep(s)
		bar.Show("%d of %d", i+1, len(steps))
	}
	bar.End()
	if p.Structured() {
		if err := showSteps(p.Env, steps, p.dryRun); err != nil {
			return err
		}
	}
	p.sayCounts(counts)
	if p.exitCode && counts[actionNone] < len(steps) {
		return differs{}
	}
	return nil
}

func (p *application) sayCounts(counts map[action]int) {
	words := []string{"created", "changed", "unchanged", "deleted"}
	if p.dryRun {
		words = []string{"to create", "to change", "unchanged", "to delete"}
	}
	text := fmt.Sprintf("%d %s, %d %s, %d %s", counts[actionCreate], words[0], counts[actionChange], words[1], counts[actionNone], words[2])
	if p.prune {
		text += fmt.Sprintf(", %d %s", counts[actionDelete], words[3])
	}
	if p.dryRun {
		text += "; nothing was changed"
	}
	p.Say("%s", text)
}

func (p *application) sayStep(s *step) {
	words := map[action]string{actionCreate: "created", actionChange: "changed", actionDelete: "deleted", actionNone: "unchanged"}
	if p.dryRun {
		words = map[action]string{actionCreate: "to create:", actionChange: "to change:", actionDelete: "to delete:", actionNone: "unchanged"}
	}
	p.Say("%s %s", words[s.Action], s.Resource)
	for _, c := range s.Changes {
		if s.Action == actionCreate {
			p.Say("  %s: %s", c.Field, c.To)
			continue
		}
		p.Say("  %s: %s -> %s", c.Field, c.From, c.To)
	}
	for _, field := range s.Missing {
		p.Say("  %s: missing: it is neither in the file nor stored", field)
	}
	for _, n := range s.Notes {
		p.Say("  %s", n)
	}
}

// differs is the error of --exit-code for a difference. The difference is printed already, so the error has no text.
type differs struct{}

func (differs) Error() string { return "" }

// ExitCode is that of a difference.
func (differs) ExitCode() int { return exit.CodeDiffers }

func showSteps(env *command.Env, steps []*step, dryRun bool) error {
	raw, err := json.Marshal(map[string]any{"dryRun": dryRun, "steps": steps})
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return env.ShowJSON(raw)
}
