package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/cli"
)

// TestEveryCommandOfTheManualWorks writes the files that docs/cli.md shows and runs its commands in their order.
func TestEveryCommandOfTheManualWorks(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t)
	t.Chdir(h.dir)
	h.env["CHAT_TOKEN"], h.env["XDG_CONFIG_HOME"] = "chat-token", filepath.Join(h.dir, "config")
	for _, name := range []string{"tickets.password", "smtp.password", "client.secret", "olga.password", "outbound.token"} {
		h.write(name, "a secret that is long enough\n")
	}
	files, lines := parse(string(manual))
	for name, text := range files {
		h.write(name, text)
	}
	// The manual begins with the status of a recipient that it defines later.
	h.must("apply", "-f", "outbound.yaml")
	h.until(says("ticket-system"), "status")
	known := map[string]bool{}
	for _, line := range lines {
		for command := range strings.SplitSeq(h.script(line), "\n") {
			known[command] = true
		}
	}
	if len(lines) < 60 {
		t.Errorf("only %d commands were found in the manual", len(lines))
	}
	for path := range leaves(cli.New(cli.Options{})) {
		// The doctor needs a receiver, the test mail a relay, a probe a delivery that waits, forward the nats-server of a site, and listen runs
		// until it is interrupted: tests of their own run them.
		others := []string{"recipients doctor", "settings smtp test", "recipients probe", "events forward", "listen"}
		if !known[path] && !slices.Contains(others, path) {
			t.Errorf("the manual shows no %q", path)
		}
	}
}

// leaves lists the commands that do something, by their path without the program's name.
func leaves(c *cobra.Command) map[string]*cobra.Command {
	out := map[string]*cobra.Command{}
	for _, inner := range c.Commands() {
		for path, leaf := range leaves(inner) {
			out[path] = leaf
		}
		if !inner.HasSubCommands() {
			_, path, _ := strings.Cut(inner.CommandPath(), " ")
			out[path] = inner
		}
	}
	return out
}

// parse finds the files (fences with a name behind the language) and the lines of commands (fences of sh) of a manual.
func parse(manual string) (files map[string]string, commands []string) {
	files = map[string]string{}
	fence, name := "", ""
	lines := bufio.NewScanner(strings.NewReader(manual))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "```") && fence == "":
			fence, name, _ = strings.Cut(strings.TrimPrefix(line, "```"), " ")
		case line == "```":
			fence = ""
		case fence == "sh":
			commands = append(commands, line)
		case fence != "" && name != "":
			files[name] += line + "\n"
		}
	}
	return files, commands
}

// real puts the ids that were given out in place of those that the manual shows.
func (h *fixture) real(line string) string {
	for shown, x := range map[string]struct{ list, key string }{"01JD0V8Z3T9GQK": {"replays", "replays"}, "k3m9x2p7qa": {"tokens", "tokens"}} {
		if !strings.Contains(line, shown) {
			continue
		}
		var all map[string][]struct{ ID string }
		if err := json.Unmarshal([]byte(h.must(x.list, "list", "-o", "json")), &all); err != nil || len(all[x.key]) == 0 {
			h.t.Fatalf("%s: there are none: %v", line, err)
		}
		line = strings.ReplaceAll(line, shown, all[x.key][0].ID)
	}
	return line
}

// script runs a line as a shell would that knows single quotes, | and > alone, and returns the paths of its commands.
func (h *fixture) script(line string) (paths string) {
	h.t.Helper()
	var found []string
	out, to := "", ""
	line = h.real(line)
	for part := range strings.SplitSeq(line, " | ") {
		command, file, _ := strings.Cut(part, " > ")
		args := words(h.t, strings.TrimPrefix(command, "outbound "))
		to = file
		found = append(found, pathOf(args))
		if endless(args) {
			h.interrupted(args)
			continue
		}
		in := out
		out = h.untilGiven(in, args)
	}
	if to != "" {
		h.write(to, out)
	}
	return strings.Join(found, "\n")
}

// untilGiven repeats a command with its input until it succeeds.
func (h *fixture) untilGiven(in string, args []string) (out string) {
	h.t.Helper()
	waittest.NoError(h.t, "outbound "+strings.Join(args, " "), func() error {
		var code int
		var errors string
		if code, out, errors = h.run(in, args...); code != 0 {
			return fmt.Errorf("exit %d\n%s%s", code, out, errors)
		}
		return nil
	})
	return out
}

// pathOf is the command without its arguments and flags.
func pathOf(args []string) string {
	c, _, err := cli.New(cli.Options{}).Find(args)
	if err != nil {
		return strings.Join(args, " ")
	}
	_, path, _ := strings.Cut(c.CommandPath(), " ")
	return path
}

// endless tells the commands that go on until they are interrupted.
func endless(args []string) bool {
	line := strings.Join(args, " ")
	return strings.HasPrefix(line, "deliveries tail") || strings.Contains(line, "--watch")
}

// said is output that tells when there is some.
type said struct {
	mu    sync.Mutex
	text  bytes.Buffer
	first chan struct{}
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text.Len() == 0 {
		close(s.first)
	}
	return s.text.Write(p)
}

// interrupted runs a command until it has said something, things happening meanwhile, and interrupts it: exit code 0.
func (h *fixture) interrupted(args []string) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	out, errors := &said{first: make(chan struct{})}, &bytes.Buffer{}
	root := cli.New(cli.Options{In: strings.NewReader(""), Out: out, Err: errors, Getenv: func(k string) string { return h.env[k] },
		Version: "test"})
	done := make(chan int, 1)
	go func() { done <- cli.Execute(ctx, root, args) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := waittest.Late()
	for waiting := true; waiting; {
		select {
		case <-out.first:
			waiting = false
		case code := <-done:
			h.t.Fatalf("outbound %s: exit %d before it was interrupted\n%s", strings.Join(args, " "), code, errors)
		case <-deadline:
			h.t.Fatalf("outbound %s says nothing", strings.Join(args, " "))
		case <-tick.C:
			h.must("events", "publish", "--appliance", "appliance-1", "--event", "support_conference_end")
		}
	}
	cancel()
	if code := <-done; code != 0 {
		h.t.Errorf("outbound %s: exit %d when interrupted\n%s", strings.Join(args, " "), code, errors)
	}
}

// words splits a command as a shell does that knows single quotes alone.
func words(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	glued := false
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			if glued {
				out[len(out)-1] += part
			} else {
				out = append(out, part)
			}
			continue
		}
		out = append(out, strings.Fields(part)...)
		glued = part != "" && !strings.HasSuffix(part, " ")
	}
	if strings.Count(line, "'")%2 == 1 || len(out) == 0 {
		t.Fatalf("not a command: %s", line)
	}
	return out
}
