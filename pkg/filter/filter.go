// Package filter decides by an expression whether a recipient is to get an event. The language is CEL
// (https://cel.dev); an expression sees `event`, `vars` and `custom`, has a bounded cost and no side effects.
package filter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"

	"github.com/outbound-events/outbound/pkg/event"
)

// MaxLength is the longest expression, in bytes. The contract documents the same figure.
const MaxLength = 4096

// costLimit bounds the work of one evaluation, in CEL's own unit: about one a step, and one for every ten bytes of text that are
// looked at. Usual expressions cost less than 50; the limit takes milliseconds to reach.
const costLimit = 100_000

// costExceeded is how CEL says that the limit was reached, interrupted how it says that the time was.
const (
	costExceeded = "actual cost limit exceeded"
	interrupted  = "operation interrupted"
)

// timeLimit bounds one evaluation. The cost limit ends an evaluation within milliseconds, so only a machine without a free processor
// reaches this one. interruptEvery is after how many turns of a loop CEL looks at the time.
const (
	timeLimit      = 2 * time.Second
	interruptEvery = 100
)

// maxShown is how much of an evaluation's error is told.
const maxShown = 300

// Compiler compiles expressions. It may be used by many goroutines.
type Compiler struct {
	env *cel.Env
}

// NewCompiler makes a compiler.
func NewCompiler() (*Compiler, error) {
	base, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("create the filter types: %w", err)
	}
	texts := cel.MapType(cel.StringType, cel.StringType)
	env, err := cel.NewCustomEnv(
		cel.StdLib(), cel.CustomTypeAdapter(base), cel.CustomTypeProvider(&provider{Provider: base}),
		cel.Variable("event", cel.ObjectType(typeEvent)), cel.Variable("vars", texts), cel.Variable("custom", texts),
	)
	if err != nil {
		return nil, fmt.Errorf("create the filter environment: %w", err)
	}
	return &Compiler{env: env}, nil
}

// Filter is a compiled expression. It may be used by many goroutines.
type Filter struct {
	expression string
	program    cel.Program
	// cost is the most that one evaluation for a large event may cost, see Cost.
	cost uint64
}

// Compile reads an expression. Its error names each fault with line and column, in words for whoever wrote it.
func (c *Compiler) Compile(expression string) (*Filter, error) {
	if len(expression) > MaxLength {
		return nil, fmt.Errorf("has %d bytes: the limit is %d", len(expression), MaxLength)
	}
	if strings.TrimSpace(expression) == "" {
		return nil, errors.New("is empty: use an expression that is true or false")
	}
	ast, issues := c.env.Compile(expression)
	if issues.Err() != nil {
		return nil, inWords(issues.Errors())
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("gives %s: it must be true or false (bool), e.g. vars.priority == \"high\"", ast.OutputType())
	}
	estimate, err := c.env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, fmt.Errorf("can't be estimated: %w", err)
	}
	program, err := c.env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(costLimit), cel.InterruptCheckFrequency(interruptEvery))
	if err != nil {
		return nil, fmt.Errorf("can't be compiled: %w", err)
	}
	return &Filter{expression: expression, program: program, cost: estimate.Max}, nil
}

// inWords tells at most five faults by line and column.
func inWords(faults []*common.Error) error {
	const most = 5
	var said []string
	for _, f := range faults[:min(most, len(faults))] {
		said = append(said, fmt.Sprintf("line %d, column %d: %s", f.Location.Line(), f.Location.Column()+1, clip(f.Message)))
	}
	if more := len(faults) - most; more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return errors.New(strings.Join(said, "; "))
}

// Matches says whether an event fulfils the expression. With an error (a variable that the event does not have, a text that is
// no number, too much work) it does not.
func (f *Filter) Matches(e *event.Event) (bool, error) {
	return f.MatchesContext(context.Background(), e)
}

// MatchesContext is Matches that ends with an error when ctx does.
func (f *Filter) MatchesContext(ctx context.Context, e *event.Event) (bool, error) {
	if f.cost > timedCost {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeLimit)
		defer cancel()
	}
	out, _, err := f.program.ContextEval(ctx, &activation{event: e})
	if err != nil {
		return false, f.inWords(err)
	}
	yes, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("returned %s instead of true or false", out.Type().TypeName())
	}
	return yes, nil
}

// inWords is an evaluation's error for whoever wrote the expression.
func (f *Filter) inWords(err error) error {
	if strings.Contains(err.Error(), interrupted) {
		return fmt.Errorf("operation cancelled: time limit of %s exceeded", timeLimit)
	}
	return errors.New(f.discreet(err.Error()))
}

// discreet is an evaluation's error without the event's values, which may be about people: what stands behind a colon or in quotes
// is told only if it is of the expression itself.
func (f *Filter) discreet(text string) string {
	for _, mark := range []string{": ", ` "`} {
		what, which, found := strings.Cut(text, mark)
		if found && !strings.Contains(f.expression, strings.Trim(which, `"`)) && which != costExceeded {
			text = what
		}
	}
	return clip(text)
}

func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
