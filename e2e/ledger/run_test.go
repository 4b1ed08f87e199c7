package ledger_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/e2e/ledger"
)

// TestNothingIsLost is a short ledger: three seeds, beside each other. `make ledger` runs longer ones with more faults.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		seed   uint64
		shape  harness.Shape
		faults []string
	}{
		{1, harness.AllInOne, []string{"kill all-in-one", "restart all-in-one", "freeze all-in-one"}},
		{2, harness.Services, []string{"kill http-sender", "kill ingest", "kill config", "kill nats-server", "redis killed"}},
		{3, harness.Services, []string{"freeze ingest", "kill email-sender", "kill history", "link cut", "rolling restart of services"}},
	} {
		t.Run(fmt.Sprint("seed ", x.seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r, err := ledger.Run(ledger.Settings{Seed: x.seed, Length: 30 * time.Second, Rate: 25, Shapes: []harness.Shape{x.shape},
				Only: x.faults, Limit: 3, Untimed: true, Dir: dir, Log: t.Output()})
			if err != nil {
				t.Fatal(err)
			}
			if r.Code() != 0 {
				t.Errorf("exit code %d:\n%s", r.Code(), r)
			}
			if len(r.Rounds) != 1 || r.Rounds[0].Owed < 500 || r.Rounds[0].Delivered < 400 || len(r.Rounds[0].Steps) < 2 {
				t.Fatalf("the run was too small to prove anything:\n%s", r)
			}
			t.Log(r)
			again, err := ledger.Check(filepath.Clean(dir))
			if err != nil || again.Rounds[0].Owed != r.Rounds[0].Owed || len(again.Findings()) != len(r.Findings()) {
				t.Errorf("joining the journals again gives %v (%v)", again, err)
			}
		})
	}
}
