package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// linked are the pages that a document links to, by their path from the root, with the headings.
func linked(name, text string) (out []string) {
	for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		if path, _, _ := strings.Cut(found[1], "#"); path != "" && !strings.Contains(path, "://") {
			out = append(out, filepath.ToSlash(filepath.Join(filepath.Dir(name), path)))
		}
	}
	return out
}

// TestEachPageIsFound follows the links from the README: each page of docs must be reached.
func TestEachPageIsFound(t *testing.T) {
	all := documents(t)
	reached, next := map[string]bool{}, []string{"README.md"}
	for len(next) > 0 {
		name := next[0]
		next = next[1:]
		if text, page := all[name]; page && !reached[name] {
			reached[name] = true
			next = append(next, linked(name, text)...)
		}
	}
	if len(reached) < 25 {
		t.Errorf("only %d pages are reached from the README", len(reached))
	}
	for name := range all {
		if !reached[name] {
			t.Errorf("no way of links leads from README.md to %s", name)
		}
	}
}

// TestOperatorsFindEachTask looks for each manual of an operator in the table of tasks.
func TestOperatorsFindEachTask(t *testing.T) {
	pages := linked("docs/operating.md", documents(t)["docs/operating.md"])
	for _, name := range []string{"audit", "backup", "compatibility", "configuration", "install", "migration", "monitoring", "runbooks",
		"security", "sizing"} {
		if !slices.Contains(pages, "docs/"+name+".md") {
			t.Errorf("docs/operating.md does not link to %s.md", name)
		}
	}
}

var runbookURL = regexp.MustCompile(`(?m)^\s*runbook_url: \S+/(docs/\w+\.md)#(\S+)$`)

// TestEachAlertHasARunbook looks for the heading that each alert of the Prometheus rules links to, and for what to do below it.
func TestEachAlertHasARunbook(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all, alerts := documents(t), strings.Count(string(rules), "- alert: ")
	found := runbookURL.FindAllStringSubmatch(string(rules), -1)
	if alerts < 10 || len(found) != alerts {
		t.Errorf("%d alerts have %d runbooks", alerts, len(found))
	}
	for _, url := range found {
		if !anchors(all[url[1]])[url[2]] {
			t.Errorf("%s has no heading %s", url[1], url[2])
		}
	}
}
