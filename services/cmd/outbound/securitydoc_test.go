package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTestsThatSecurityNamesExist looks for every test that docs/security.md names as the proof of an answer.
func TestTheTestsThatSecurityNamesExist(t *testing.T) {
	const root = "../../.."
	doc, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := testsBelow(t, root)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(doc), -1)
	for _, n := range named {
		if !known[n[1]] {
			t.Errorf("docs/security.md names %s, which is no test: name the one that shows it", n[1])
		}
	}
	if len(named) < 40 {
		t.Errorf("docs/security.md names %d tests: that cannot be all", len(named))
	}
	for line := range strings.Lines(string(doc)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && regexp.MustCompile(`^ [STRIDE]: `).MatchString(cells[1]) &&
			!strings.Contains(cells[3], "`Test") && !strings.Contains(cells[3], "`Fuzz") {
			t.Errorf("a threat without a test: %s", line)
		}
	}
}

// testsBelow are the names of all tests and fuzz targets.
func testsBelow(t *testing.T, root string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
	for _, module := range []string{"pkg", "services", "e2e"} {
		err := filepath.WalkDir(filepath.Join(root, module), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				out[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
