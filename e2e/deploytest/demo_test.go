package deploytest_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

// TestDemoShowsThatAllArrived runs the newcomer's first command as a script would.
func TestDemoShowsThatAllArrived(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), harness.Binary("demo"), "--once")
	cmd.Env = []string{"TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("demo --once: %v\n%s", err, text)
	}
	for _, want := range []string{
		"11 DELIVERED", "3 DELIVERED, 2 SKIPPED: no_external_key", "5 DELIVERED", "signature verified", "at attempt 3",
		"custom.region=emea", "external_key=INC-1001", "rating=5", "[INC-1001] Support session end",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the account does not show %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b[") {
		t.Error("the account is coloured although it is written to no terminal")
	}
}
