// Package mutation breaks Outbound on purpose, one way at a time, and has the ledger run against each broken build: a check that has never
// failed proves nothing.
//
// A mutation is a text that is replaced in a copy of the source. One that no longer matches the source fails, so that it is not forgotten.
package mutation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/e2e/ledger"
)

// Mutation is one way to break Outbound.
type Mutation struct {
	Name string
	// File is where Old, which must be there exactly once, becomes New.
	File, Old, New string
	// Shape and Faults are where it shows, Kinds the findings that catch it: one of them must be reported.
	Shape  harness.Shape
	Faults []string
	Kinds  []string
}

// All are the mutations.
func All() []Mutation {
	return []Mutation{
		{
			Name: "acknowledge before the record", File: "pkg/delivery/settle.go",
			Old:   "\trec.store()\n}\n\n// store hands",
			New:   "\tw.settle(t.Message, settlement(t.Message, rec.rec))\n\ttime.AfterFunc(time.Second, rec.store)\n}\n\n// store hands",
			Shape: harness.AllInOne, Faults: []string{"kill all-in-one"}, Kinds: []string{ledger.Lost, ledger.Sum},
		}, {
			Name: "a final state is not recorded", File: "pkg/delivery/settle.go",
			Old: "\te.window <- struct{}{}\n\tw.late.Add(1)\n",
			New: "\tif t.Sequence%40 == 0 && r.verdict.Kind == Delivered {\n\t\tw.settle(t.Message, t.Message.Settler.Ack)\n\t\treturn\n\t}\n" +
				"\te.window <- struct{}{}\n\tw.late.Add(1)\n",
			Shape: harness.AllInOne, Faults: []string{"restart all-in-one"}, Kinds: []string{ledger.Sum},
		}, {
			Name: "drop on full", File: "pkg/bus/internal/wire/streams.go",
			Old:   "Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,\n\t\tMaxAge: eventsMaxAge",
			New:   "Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,\n\t\tMaxAge: eventsMaxAge",
			Shape: harness.Services, Faults: []string{"EVENTS full"}, Kinds: []string{ledger.Lost},
		}, {
			Name: "accept what the stream refused", File: "services/ingest/intake.go",
			Old:   "\t\treturn a.Receipt, a.err\n\tcase <-ctx.Done():",
			New:   "\t\treturn a.Receipt, nil\n\tcase <-ctx.Done():",
			Shape: harness.Services, Faults: []string{"EVENTS full"}, Kinds: []string{ledger.Lost},
		}, {
			Name: "negative acknowledgement without delay", File: "pkg/bus/queue/settle.go",
			Old:   "\treturn s.say(fmt.Sprintf(`-NAK {\"delay\": %d}`, max(wait, time.Millisecond).Nanoseconds()))",
			New:   "\t_ = fmt.Sprint(wait)\n\treturn s.say(\"-NAK\")",
			Shape: harness.Services, Faults: []string{"kill http-sender"}, Kinds: []string{ledger.Promise},
		}, {
			Name: "the body changes with the attempt", File: "services/httpsender/request.go",
			Old:   "\treturn http.Header(header), body, err\n",
			New:   "\tif d.Attempt > 1 {\n\t\tbody = append(body, ' ')\n\t}\n\treturn http.Header(header), body, err\n",
			Shape: harness.AllInOne, Faults: []string{"restart all-in-one"}, Kinds: []string{ledger.Changed},
		}, {
			Name: "filters are ignored", File: "pkg/delivery/filter.go",
			Old:   "\tcase !pass:\n\t\treturn &Verdict{Kind: Drop, Reason: reasons.FilterFalse}\n",
			New:   "\tcase !pass:\n\t\treturn nil\n",
			Shape: harness.AllInOne, Faults: []string{"restart all-in-one"}, Kinds: []string{ledger.Phantom},
		}, {
			Name: "the number of the newest event", File: "pkg/delivery/numbering/counter.go",
			Old:   "\treturn c.at(s, sequence), Known\n",
			New:   "\treturn s.number, Known\n",
			Shape: harness.Services, Faults: []string{"kill http-sender"}, Kinds: []string{ledger.Number},
		},
	}
}

// Options are what a run of mutations is asked to do.
type Options struct {
	// Seed of each run, Length how long each publishes.
	Seed   uint64
	Length time.Duration
	// Only are the mutations to run, by name; empty: all.
	Only []string
	// Dir is where sources, binaries and journals go.
	Dir string
	Out io.Writer
}

// Run builds each mutation and runs the ledger against it. It returns an error that names those that were not caught.
func Run(o Options) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	if err := harness.Prepare(); err != nil {
		return err
	}
	var missed []error
	fmt.Fprint(o.Out, "| mutation | faults | caught by | example |\n|---|---|---|---|\n")
	for i, m := range All() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.Name) {
			continue
		}
		row, err := m.run(o, root, filepath.Join(o.Dir, fmt.Sprintf("%02d", i+1)))
		if err != nil {
			missed = append(missed, fmt.Errorf("mutation %q: %w", m.Name, err))
			row = fmt.Sprintf("not caught: %v |", err)
		}
		fmt.Fprintf(o.Out, "| %s | %s | %s |\n", m.Name, strings.Join(m.Faults, ", "), row)
	}
	return errors.Join(missed...)
}

// errNotCaught says that the ledger found nothing of what a mutation must cause.
var errNotCaught = errors.New("the ledger did not catch it")

// run builds one mutation and runs the ledger against it.
func (m Mutation) run(o Options, root, dir string) (row string, err error) {
	bin, err := m.build(root, dir)
	if err != nil {
		return "", err
	}
	normal := os.Getenv(harness.BinVariable)
	if err := os.Setenv(harness.BinVariable, bin); err != nil {
		return "", fmt.Errorf("name the folder of the binaries: %w", err)
	}
	defer func() { _ = os.Setenv(harness.BinVariable, normal) }()
	report, err := ledger.Run(ledger.Settings{Seed: o.Seed, Length: o.Length, Rate: 30, Shapes: []harness.Shape{m.Shape}, Only: m.Faults,
		Limit: 2, Dir: filepath.Join(dir, "run"), Log: os.Stderr})
	if err != nil {
		return "", err
	}
	counts, example := map[string]int{}, ""
	for _, f := range report.Findings() {
		counts[f.Kind]++
		if slices.Contains(m.Kinds, f.Kind) && example == "" {
			example = f.What
		}
	}
	if example == "" {
		return "", fmt.Errorf("%w: expected one of %v, found %v", errNotCaught, m.Kinds, counts)
	}
	var words []string
	for _, k := range m.Kinds {
		words = append(words, fmt.Sprint(k, " ", counts[k]))
	}
	return strings.Join(words, ", ") + " | " + strings.ReplaceAll(example, "|", "\\|"), nil
}

// build copies the source, changes it, and builds the binaries, beside a nats-server that is not changed.
func (m Mutation) build(root, dir string) (bin string, err error) {
	source, bin := filepath.Join(dir, "source"), filepath.Join(dir, "bin")
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("empty the folder of a mutation: %w", err)
	}
	if err := os.MkdirAll(bin, 0o755); err != nil { //nolint:gosec // binaries for everybody
		return "", fmt.Errorf("make a folder for binaries: %w", err)
	}
	for _, part := range []string{"go.work", "go.work.sum", "proto", "pkg", "services", "e2e/go.mod", "e2e/go.sum"} {
		if err := duplicate(filepath.Join(root, part), filepath.Join(source, part)); err != nil {
			return "", fmt.Errorf("copy the source: %w", err)
		}
	}
	if err := m.Apply(source); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-o", bin+string(filepath.Separator),
		"github.com/outbound-events/outbound/services/cmd/...")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	if err := os.Symlink(harness.Binary("nats-server"), filepath.Join(bin, "nats-server")); err != nil {
		return "", fmt.Errorf("link nats-server: %w", err)
	}
	return bin, os.RemoveAll(source)
}

// Apply changes a copy of the source. It fails if the text to change is not there exactly once.
func (m Mutation) Apply(source string) error {
	path := filepath.Join(source, m.File)
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read what to change: %w", err)
	}
	if n := strings.Count(string(raw), m.Old); n != 1 {
		return fmt.Errorf("change %s: the text to change is there %d times, and must be there once: bring the mutation up to date", m.File, n)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(raw), m.Old, m.New, 1)), 0o600); err != nil {
		return fmt.Errorf("write the change: %w", err)
	}
	return nil
}

// duplicate copies a file or a folder.
func duplicate(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755) //nolint:gosec // source for everybody
	}
	if err == nil {
		err = os.WriteFile(to, raw, 0o600)
	}
	return err
}
