package filter

import (
	"fmt"
	"math"

	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/types"
)

// The event that the cost of an expression is estimated for: more than appliances send. What is larger still ends at costLimit, which
// counts what is really done.
const (
	assumedVariables = 100
	assumedText      = 1000
)

// timedCost is the estimate above which an evaluation is timed: what is cheaper can't take long.
const timedCost = 10_000

// sizes tells CEL how large the values of an event are.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	switch n.Type().Kind() {
	case types.MapKind, types.ListKind:
		return &checker.SizeEstimate{Max: assumedVariables}
	case types.StringKind, types.BytesKind:
		return &checker.SizeEstimate{Max: assumedText}
	default:
		return nil
	}
}

// EstimateCallCost implements checker.CostEstimator: CEL's own figures.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// Cost is the most that one evaluation may cost for an event of 100 variables of 1,000 characters, in CEL's own unit, as its static
// estimate has it (https://pkg.go.dev/github.com/google/cel-go/checker#Cost).
func (f *Filter) Cost() uint64 { return f.cost }

// Check compiles an expression that is to be saved or tried, and also refuses one whose estimated cost exceeds what an evaluation may
// cost. Compile takes it: one that was saved before goes on.
func (c *Compiler) Check(expression string) (*Filter, error) {
	f, err := c.Compile(expression)
	if err != nil {
		return nil, err
	}
	if f.cost > costLimit {
		cost := fmt.Sprint(f.cost)
		if f.cost == math.MaxUint64 {
			cost = "without bound"
		}
		return nil, fmt.Errorf("has an estimated cost of %s for an event of %d variables: the limit is %d, use fewer loops inside loops",
			cost, assumedVariables, costLimit)
	}
	return f, nil
}
