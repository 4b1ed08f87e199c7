package cli

import (
	"context"
	"encoding/json"
	"fmt"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// step is one resource of a plan.
type step struct {
	Action   action   `json:"action"`
	Resource string   `json:"resource"`
	Changes  []change `json:"changes,omitempty"`
	// Notes are printed after the step, e.g. a secret that is shown only once.
	Notes []string `json:"notes,omitempty"`
	// Missing are the fields of secrets that are neither in the file nor stored.
	Missing []string `json:"missing,omitempty"`
	// Faults are why the server would refuse the step, if it would. A dry run alone asks.
	Faults []fault `json:"faults,omitempty"`

	// where the resource is declared.
	where    string
	kind, id string
	// planned is the step as the server is asked about it; nil if there is nothing to do.
	planned *outboundv1.PlannedChange
	do      func(ctx context.Context, s *step) error
}

// action is what a step does.
type action string

const (
	actionCreate action = "create"
	actionChange action = "change"
	actionDelete action = "delete"
	actionNone   action = "none"
)

// carryOut does the steps in their order and stops at the first that fails.
func (p *application) carryOut(ctx context.Context, steps []*step) error {
	counts := map[action]int{}
	bar := p.progress()
	defer bar.end()
	for i, s := range steps {
		if s.Action != actionNone && !p.dryRun {
			if err := s.do(ctx, s); err != nil {
				bar.end()
				return fmt.Errorf("%s %s: %w", s.Action, s.Resource, err)
			}
		}
		counts[s.Action]++
		bar.end()
		p.sayStep(s)
		bar.show("%d of %d", i+1, len(steps))
	}
	bar.end()
	if p.output != "table" {
		if err := p.showSteps(steps, p.dryRun); err != nil {
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
	p.say("%s", text)
}

func (p *application) sayStep(s *step) {
	words := map[action]string{actionCreate: "created", actionChange: "changed", actionDelete: "deleted", actionNone: "unchanged"}
	if p.dryRun {
		words = map[action]string{actionCreate: "to create:", actionChange: "to change:", actionDelete: "to delete:", actionNone: "unchanged"}
	}
	p.say("%s %s", words[s.Action], s.Resource)
	for _, c := range s.Changes {
		if s.Action == actionCreate {
			p.say("  %s: %s", c.Field, c.To)
			continue
		}
		p.say("  %s: %s -> %s", c.Field, c.From, c.To)
	}
	for _, field := range s.Missing {
		p.say("  %s: missing: it is neither in the file nor stored", field)
	}
	for _, n := range s.Notes {
		p.say("  %s", n)
	}
}

// differs is the result of --exit-code if there is a difference. The difference was shown, so the message is empty.
type differs struct{}

func (differs) Error() string { return "" }

// ExitCode distinguishes it from success and from failure.
func (differs) ExitCode() int { return ExitDiffers }

func (a *app) showSteps(steps []*step, dryRun bool) error {
	raw, err := json.Marshal(map[string]any{"dryRun": dryRun, "steps": steps})
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return a.showJSON(raw)
}
