package mutation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/e2e/mutation"
)

// TestEveryMutationFitsTheSource fails when the source has changed and a mutation has not followed.
func TestEveryMutationFitsTheSource(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutation.All() {
		dir := t.TempDir()
		raw, err := os.ReadFile(filepath.Join(root, m.File))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, m.File)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.Apply(dir); err != nil {
			t.Errorf("mutation %q: %v", m.Name, err)
		}
		if err := os.WriteFile(to, []byte("package other\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.Apply(dir); err == nil {
			t.Errorf("mutation %q fits what it does not fit", m.Name)
		}
	}
}
