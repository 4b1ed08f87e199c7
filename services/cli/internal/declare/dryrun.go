package declare

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// fault is why the server would refuse a step.
type fault struct {
	// Field in the spelling of the REST surface; empty if the whole is refused.
	Field       string `json:"field,omitempty"`
	Description string `json:"description"`

	code codes.Code
}

// showDryRun shows the steps and all their faults, and changes nothing.
func (p *application) showDryRun(ctx context.Context, c *client.Client, steps []*step, malformed []error) error {
	var much *tooMuch
	if err := check(ctx, c, steps); errors.As(err, &much) {
		return fmt.Errorf("%w: use fewer files for a dry run", err)
	} else if err != nil {
		return err
	}
	err := p.carryOut(ctx, steps)
	if wrong := faulty(steps, malformed); wrong != nil {
		return wrong
	}
	return err
}

// mostChecked is how many changes the server checks at once, largestCheck how many bytes of JSON it takes for that.
const (
	mostChecked  = 5_000
	largestCheck = 4<<20 - 1<<10
)

// tooMuch says that there are more changes than the server checks at once. Changes depend on each other, so they are not checked in parts.
type tooMuch struct{ changes, bytes int }

func (e *tooMuch) Error() string {
	return fmt.Sprintf("%d changes of %.1f MiB are too many to validate at once: the limit is %d changes of %d MiB",
		e.changes, float64(e.bytes)/(1<<20), mostChecked, 4)
}

// check asks the server to validate all changes, and adds the faults to the steps.
func check(ctx context.Context, c *client.Client, steps []*step) error {
	q, asked := &outboundv1.CheckChangesRequest{}, []*step{}
	for _, s := range steps {
		for _, field := range s.Missing {
			s.Faults = append(s.Faults, fault{Field: field,
				Description: "is neither in the file nor stored: add it as ${file:PATH} or ${env:NAME}", code: codes.InvalidArgument})
		}
		if s.planned != nil {
			q.Changes, asked = append(q.Changes, s.planned), append(asked, s)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	if body, err := protojson.Marshal(q); err != nil || len(asked) > mostChecked || len(body) > largestCheck {
		return &tooMuch{changes: len(asked), bytes: len(body)}
	}
	out := &outboundv1.CheckChangesResponse{}
	if err := c.Call(ctx, http.MethodPost, "/v1/changes:check", q, out); err != nil {
		return fmt.Errorf("validate the changes: %w", err)
	}
	if len(out.GetResults()) != len(asked) {
		return fmt.Errorf("validate the changes: the server returned %d results for %d changes", len(out.GetResults()), len(asked))
	}
	for i, s := range asked {
		s.note(out.GetResults()[i])
	}
	return nil
}

// note adds the faults of a checked change. A missing secret is reported once.
func (s *step) note(x *outboundv1.CheckedChange) {
	code := codes.Code(max(x.GetCode(), 0)) //nolint:gosec // a status code is small
	switch {
	case code == codes.OK:
	case code != codes.InvalidArgument || len(x.GetFaults()) == 0:
		s.Faults = append(s.Faults, fault{Description: x.GetMessage(), code: code})
	default:
		for _, f := range x.GetFaults() {
			if !slices.Contains(s.Missing, f.GetField()) {
				s.Faults = append(s.Faults, fault{Field: f.GetField(), Description: f.GetDescription(), code: code})
			}
		}
	}
}

// faultyError lists all faults of declarations, a line each.
type faultyError struct {
	lines []string
	exit  int
}

// faulty returns the error of steps with faults and of declarations that cannot be read; nil if there is neither.
func faulty(steps []*step, malformed []error) error {
	e, refused, conflicts := &faultyError{exit: exit.CodeUsage}, 0, 0
	for _, err := range malformed {
		e.lines = append(e.lines, err.Error())
	}
	for _, s := range steps {
		for _, f := range s.Faults {
			line := fmt.Sprintf("%s (%s): %s", s.where, s.Resource, f.Description)
			if f.Field != "" {
				line = fmt.Sprintf("%s (%s), %s: %s", s.where, s.Resource, f.Field, f.Description)
			}
			e.lines = append(e.lines, line)
			refused++
			if f.code == codes.AlreadyExists || f.code == codes.Aborted {
				conflicts++
			}
		}
	}
	switch {
	case len(e.lines) == 0:
		return nil
	case len(malformed) == 1 && refused == 0:
		return malformed[0]
	case refused > 0 && conflicts == len(e.lines):
		e.exit = exit.CodeConflict
	case refused > 0:
		e.exit = exit.CodeFailed
	}
	return e
}

// Error is the line above the faults.
func (e *faultyError) Error() string {
	if len(e.lines) == 1 {
		return "1 field is not valid, and nothing was changed:"
	}
	return fmt.Sprintf("%d fields are not valid, and nothing was changed:", len(e.lines))
}

// Lines are the faults, a line each.
func (e *faultyError) Lines() []string { return e.lines }

// ExitCode is that of wrong usage if the files alone are at fault.
func (e *faultyError) ExitCode() int { return e.exit }
