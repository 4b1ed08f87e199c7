package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// BinVariable names the environment variable that holds the folder of the built binaries. Set from outside, nothing is built.
const BinVariable = "OUTBOUND_E2E_BIN"

// Runner is a testing.M.
type Runner interface{ Run() int }

// Main builds the binaries once, runs the tests and takes the binaries away. It returns the exit code. With names it builds only
// those of ours.
func Main(m Runner, names ...string) int {
	remove, err := Prepare(names...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	return m.Run()
}

// Prepare builds the binaries into a folder of their own, unless BinVariable names one already, and sets BinVariable.
// What it returns takes them away. With names it builds only those of ours.
func Prepare(names ...string) (remove func(), err error) {
	if os.Getenv(BinVariable) != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "outbound-e2e-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the binaries: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) }
	if err = build(dir, names); err == nil {
		err = os.Setenv(BinVariable, dir)
	}
	if err != nil {
		remove()
		return nil, err
	}
	return remove, nil
}

// product is where the mains of our binaries are.
const product = "github.com/outbound-events/outbound/services/cmd/"

// target is something to build: a pattern as seen from a folder, into a file or a folder.
type target struct{ in, pattern, out string }

// build makes every binary of ours, and the stock nats-server at the version the house pins; or just those that are named.
func build(dir string, names []string) error {
	root, err := Root()
	if err != nil {
		return err
	}
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
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", what.out, what.pattern)
		cmd.Dir = what.in
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
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
