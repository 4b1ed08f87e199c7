package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli"
)

const root = "../../.."

// documents are the pages for people, by their path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	paths := []string{filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	out := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.ToSlash(name)] = string(text)
	}
	if len(out) < 25 {
		t.Fatalf("only %d documents were found", len(out))
	}
	return out
}

// commandsOf are the lines of a document's code blocks that begin with a word.
func commandsOf(document, word string) (out []string) {
	fenced := false
	for line := range strings.Lines(document) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		line = strings.TrimPrefix(line, "bin/")
		if rest, ok := strings.CutPrefix(line, word+" "); ok && fenced {
			rest, _, _ = strings.Cut(rest, " #")
			out = append(out, strings.TrimSpace(rest))
		}
	}
	return out
}

// arguments splits a command of a document as a shell does that knows quotes, | and > alone.
func arguments(t *testing.T, line string) []string {
	t.Helper()
	if !strings.Contains(line, "'") {
		line = strings.ReplaceAll(line, `"`, "'")
	}
	args := words(t, line)
	if i := slices.IndexFunc(args, func(a string) bool { return a == "|" || a == ">" }); i >= 0 {
		args = args[:i]
	}
	return args
}

// commandLine is the command line with what cobra adds when it runs.
func commandLine() *cobra.Command {
	c := cli.New(cli.Options{})
	c.InitDefaultHelpCmd()
	c.InitDefaultCompletionCmd()
	return c
}

// TestCommandsOfTheDocumentsAreValid holds each command of the documents against the command line: verb, flags and number of arguments.
func TestCommandsOfTheDocumentsAreValid(t *testing.T) {
	count := 0
	for name, text := range documents(t) {
		for _, line := range commandsOf(text, "outbound") {
			args := arguments(t, line)
			if args[0] == "run" || args[0] == "repair" {
				continue // commands of the server, which the end-to-end tests and the ledger run
			}
			count++
			command, rest, err := commandLine().Find(args)
			if err != nil || command.HasSubCommands() {
				t.Errorf("%s: outbound %s: no such command: %v", name, line, err)
				continue
			}
			if err := command.ParseFlags(rest); err != nil {
				t.Errorf("%s: outbound %s: %v", name, line, err)
				continue
			}
			if err := command.ValidateArgs(command.Flags().Args()); err != nil {
				t.Errorf("%s: outbound %s: %v", name, line, err)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d commands were found", count)
	}
}

var tableRow = regexp.MustCompile("(?m)^\\| `([a-z -]+)` \\| [^|]+ \\|([^|]*)\\|$")

// TestTheTableOfCommandsIsComplete compares the table in docs/cli.md with the commands that there are.
func TestTheTableOfCommandsIsComplete(t *testing.T) {
	commands := leaves(cli.New(cli.Options{}))
	for _, row := range tableRow.FindAllStringSubmatch(documents(t)["docs/cli.md"], -1) {
		command, ok := commands[row[1]]
		if !ok {
			continue // a row of another table
		}
		delete(commands, row[1])
		for _, flag := range regexp.MustCompile("`--([a-z0-9-]+)`").FindAllStringSubmatch(row[2], -1) {
			if command.Flags().Lookup(flag[1]) == nil {
				t.Errorf("outbound %s has no flag --%s", row[1], flag[1])
			}
		}
	}
	for path := range commands {
		t.Errorf("the table lacks %q", path)
	}
}

func TestTargetsOfTheDocumentsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range documents(t) {
		for _, line := range commandsOf(text, "make") {
			for _, word := range strings.Fields(line) {
				if strings.Contains(word, "=") {
					break
				}
				if !strings.Contains(string(makefile), "\n"+word+":") {
					t.Errorf("%s: make %s: there is no target %s", name, line, word)
				}
			}
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```$")
)

// TestLinksOfTheDocumentsResolve looks for the file and the heading of each relative link.
func TestLinksOfTheDocumentsResolve(t *testing.T) {
	all := documents(t)
	for name, text := range all {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target := found[1]
			if strings.Contains(target, "://") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			at := name
			if path != "" {
				at = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(root, at)); err != nil {
				t.Errorf("%s: %s: %v", name, target, err)
			}
			if anchor != "" && !anchors(all[at])[anchor] {
				t.Errorf("%s: %s: no such heading", name, target)
			}
		}
	}
}

// anchors are the names of a document's headings in links.
func anchors(document string) map[string]bool {
	out := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(document, ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, h[1])
		out[slug] = true
	}
	return out
}
