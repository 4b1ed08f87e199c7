package filter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/filter"
)

// nested is an expression of so many loops inside each other.
func nested(loops int) string {
	var b strings.Builder
	for i := range loops {
		fmt.Fprintf(&b, "vars.all(v%d, ", i)
	}
	return b.String() + `v0 != "x"` + strings.Repeat(")", loops)
}

func TestAnExpressionThatMayCostTooMuchIsRefusedAtSaveWithItsCostAndTheLimit(t *testing.T) {
	c := compiler(t)
	for expression, want := range map[string]string{
		nested(1):                            "",
		nested(2):                            "",
		nested(3):                            "has an estimated cost of ",
		nested(12):                           "has an estimated cost of ",
		`vars.exists(n, n == "a")`:           "",
		`vars.all(n, vars[n].contains("x"))`: "",
		`vars.all(a, vars.all(b, vars[a] + vars[b] == vars[b] + vars[a]))`: "the limit is 100000",
		`vars.name.matches("^(a|b)*c$")`:                                   "",
		`event.type in ["a", "b"] && int(vars.duration) > 600`:             "",
	} {
		f, err := c.Check(expression)
		switch {
		case want == "" && err != nil:
			t.Errorf("%.60s: %v", expression, err)
		case want == "" && f.Cost() > 100_000:
			t.Errorf("%.60s: taken with a cost of %d", expression, f.Cost())
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "100000")):
			t.Errorf("%.60s: %v", expression, err)
		}
		if _, err := c.Compile(expression); err != nil {
			t.Errorf("%.60s: one that was saved before does not go on: %v", expression, err)
		}
	}
}

// many is an event of so many variables.
func many(t testing.TB, n int) string {
	t.Helper()
	var vars []string
	for i := range n {
		vars = append(vars, fmt.Sprintf(`"v%d":"%s"`, i, strings.Repeat("x", 100)))
	}
	return strings.Replace(ended, `"duration":1260`, strings.Join(vars, ","), 1)
}

func TestAnEvaluationEndsAtItsCostAndWithItsCaller(t *testing.T) {
	c, e := compiler(t), decode(t, many(t, 900))
	f, err := c.Compile(nested(5))
	if err != nil {
		t.Fatal(err)
	}
	if yes, err := f.Matches(e); yes || err == nil || !strings.Contains(err.Error(), "cost limit exceeded") {
		t.Errorf("got %v, %v", yes, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if yes, err := f.MatchesContext(ctx, e); yes || err == nil || !strings.Contains(err.Error(), "operation cancelled") {
		t.Errorf("got %v, %v", yes, err)
	}
}

func BenchmarkMatchesAtTheCostLimit(b *testing.B) {
	c, e := compiler(b), decode(b, many(b, 900))
	var f *filter.Filter
	f, err := c.Compile(nested(5))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, _ = f.Matches(e)
	}
}
