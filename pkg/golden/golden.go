// Package golden compares what a test rendered with what was reviewed before: a file under testdata.
package golden

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Check compares got with testdata/<name> of the package under test. With GOLDEN_UPDATE set (`make golden`) it writes the file
// instead; the difference is then reviewed like code.
func Check(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if os.Getenv("GOLDEN_UPDATE") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read the golden file (make golden writes it): %v", err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs (make golden rewrites it)\n--- want\n%s\n--- got\n%s", path, want, got)
	}
}
