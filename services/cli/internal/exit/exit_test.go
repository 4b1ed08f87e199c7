package exit_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func TestAnErrorChoosesItsCode(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, exit.CodeOK},
		{"any", errors.New("x"), exit.CodeFailed},
		{"wrong usage", exit.Usagef("bad %d", 1), exit.CodeUsage},
		{"wrong usage, wrapped", fmt.Errorf("apply: %w", exit.Usagef("bad")), exit.CodeUsage},
		{"not found", exit.NotFound("no such thing"), exit.CodeNotFound},
	} {
		if got := exit.Code(c.err); got != c.want {
			t.Errorf("%s: code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAUsageErrorKeepsItsCause(t *testing.T) {
	err := exit.Usagef("read %s: %w", "a.yaml", fs.ErrNotExist)
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "read a.yaml: "+fs.ErrNotExist.Error() {
		t.Errorf("got %v", err)
	}
	if got := exit.NotFound("gone").Error(); got != "gone" {
		t.Errorf("got %q", got)
	}
}
