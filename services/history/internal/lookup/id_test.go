package lookup_test

import (
	"testing"

	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

func TestIDsThatCanStandInASubjectAreValid(t *testing.T) {
	for _, c := range []struct {
		value, extra string
		want         bool
	}{
		{"", "", true}, {"e-1", "", true}, {"a_B9", "", true}, {"a1~e-1", "", false}, {"a1~e-1", "~", true},
		{"a.b", "", false}, {"*", "", false}, {">", "~", false}, {"a b", "", false}, {"é", "", false},
	} {
		if got := lookup.ValidID(c.value, c.extra); got != c.want {
			t.Errorf("%q with %q: %t, want %t", c.value, c.extra, got, c.want)
		}
	}
}

func TestReplaysHaveAttemptIDsOfTheirOwn(t *testing.T) {
	if got := lookup.AttemptID("e-1", ""); got != "e-1" {
		t.Errorf("a delivery: %q", got)
	}
	if got := lookup.AttemptID("e-1", "R1"); got != "e-1~R1" {
		t.Errorf("a replay: %q", got)
	}
}
