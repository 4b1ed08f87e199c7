package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// BinVariable names the environment variable that holds the folder of the built binaries. Set from outside, nothing is built.
const BinVariable = "OUTBOUND_E2E_BIN"

// RaceVariable names the environment variable that, set, has our binaries built with the race detector. A test then fails if one of them
// has written about a race.
const RaceVariable = "OUTBOUND_E2E_RACE"

// raceReport is what the race detector begins a report with.
const raceReport = "WARNING: DATA RACE"

// Runner is a testing.M.
type Runner interface{ Run() int }

// together is how many tests of a package run at once unless -parallel says otherwise: they wait most of the time.
const together = "8"

// Main builds the binaries, runs the tests and returns the exit code. With names it builds only those of ours.
func Main(m Runner, names ...string) int {
	if err := Prepare(names...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := flag.Set("test.parallel", together); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Prepare builds the binaries, unless BinVariable names their folder already, and sets BinVariable. With names it builds only those of
// ours. All who need binaries share one folder and build one after the other, so that whoever comes later finds them there.
func Prepare(names ...string) error {
	if os.Getenv(BinVariable) != "" {
		return nil
	}
	root, err := Root()
	if err != nil {
		return err
	}
	dir := filepath.Join(root, ".build", "e2e")
	if os.Getenv(RaceVariable) != "" {
		dir += "-race"
	}
	if err = os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a folder for the binaries: %w", err)
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err = build(root, dir, names); err != nil {
		return err
	}
	if err = os.Setenv(BinVariable, dir); err != nil {
		return fmt.Errorf("name the folder of the binaries: %w", err)
	}
	return nil
}

// lock waits until no other process has a file locked, and locks it.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a lock: %w", err)
	}
	if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { //nolint:gosec // a file descriptor is small
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // which unlocks it
}

// product is where the mains of our binaries are.
const product = "github.com/outbound-events/outbound/services/cmd/"

// target is something to build: a pattern as seen from a folder, into a file or a folder.
type target struct{ in, pattern, out string }

// command builds a target. nats-server, which is not ours, has no race detector.
func (x target) command() *exec.Cmd {
	args, env := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", x.out}, append(os.Environ(), "CGO_ENABLED=0")
	if os.Getenv(RaceVariable) != "" && strings.HasPrefix(x.pattern, product) {
		args, env = append(args, "-race"), append(env, "CGO_ENABLED=1")
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, x.pattern)...)
	cmd.Dir, cmd.Env = x.in, env
	return cmd
}

// build makes every binary of ours, and the stock nats-server at the version that is pinned; or just those that are named. What is up
// to date is left as it is.
func build(root, dir string, names []string) error {
	began := time.Now()
	targets := []target{
		{root, product + "...", dir + string(filepath.Separator)},
		{filepath.Join(root, "e2e"), "github.com/nats-io/nats-server/v2", filepath.Join(dir, "nats-server")},
	}
	if len(names) > 0 {
		targets = nil
	}
	for _, name := range names {
		targets = append(targets, target{root, product + name, filepath.Join(dir, name)})
	}
	for _, what := range targets {
		if out, err := what.command().CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", what.pattern, err, out)
		}
	}
	fmt.Fprintf(os.Stderr, "e2e: built the binaries in %v\n", time.Since(began).Round(time.Second))
	return nil
}

// Binary is the path of a built binary.
func Binary(name string) string { return filepath.Join(os.Getenv(BinVariable), name) }

// Root is the folder that holds go.work, looked for from the working directory upward.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look up the working directory: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("look for go.work from the working directory upward: there is none")
		}
		dir = up
	}
}
