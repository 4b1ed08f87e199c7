package archtest_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/archtest"
)

// listed is a package in a row of CONTRIBUTING.md, and the rest of the row.
type listed struct{ name, row string }

// listedPackages returns the packages that CONTRIBUTING.md has rows for. A name without a folder is next to the one before it.
func listedPackages(t *testing.T) (out []listed) {
	t.Helper()
	root, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z0-9/]+)`")
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "| `pkg/") && !strings.HasPrefix(line, "| `services/") {
			continue
		}
		first, row, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		dir := ""
		for _, m := range names.FindAllStringSubmatch(first, -1) {
			name := m[1]
			if strings.HasPrefix(name, "pkg/") || strings.HasPrefix(name, "services/") {
				dir = path.Dir(name)
			} else {
				name = dir + "/" + name
			}
			out = append(out, listed{name, row})
		}
	}
	return out
}

// lists reports whether one of the rows stands for a package. Packages in the internal folder of a service are named in its row, and those
// below them, and those below the row of `services/cmd/x`, need no row.
func lists(rows []listed, pkg string) bool {
	service, inside, internal := strings.Cut(pkg, "/internal/")
	for _, l := range rows {
		switch {
		case l.name == pkg, strings.HasPrefix(pkg, "services/cmd/") && l.name == "services/cmd/x":
			return true
		case internal && l.name == service && strings.HasPrefix(service, "services/"):
			inside, _, _ = strings.Cut(inside, "/")
			if regexp.MustCompile(`\b` + inside + `\b`).MatchString(l.row) {
				return true
			}
		}
	}
	return false
}

func TestContributingListsEachPackage(t *testing.T) {
	rows := listedPackages(t)
	if len(rows) < 40 {
		t.Fatalf("CONTRIBUTING.md has rows for %d packages: that cannot be all", len(rows))
	}
	there := map[string]bool{"services/cmd/x": true}
	for _, f := range graph(t).Files {
		if strings.HasPrefix(f.Package, "pkg/") || strings.HasPrefix(f.Package, "services/") {
			there[f.Package] = true
		}
	}
	for pkg := range there {
		if !lists(rows, pkg) {
			t.Errorf("CONTRIBUTING.md has no row for %s: add one that says what it gives", pkg)
		}
	}
	for _, l := range rows {
		if !there[l.name] {
			t.Errorf("CONTRIBUTING.md has a row for %s, which is not there", l.name)
		}
	}
}
