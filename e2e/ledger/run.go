package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outbound-events/outbound/e2e/harness"
)

// Run plays all rounds of a plan and joins their journals. An error says that the run could not be made.
func Run(s Settings) (Report, error) {
	if s.Log == nil {
		s.Log = io.Discard
	}
	for _, name := range s.Only {
		f, err := find(name)
		if err != nil {
			return Report{}, err
		}
		if f.missing(s) {
			return Report{}, fmt.Errorf("play %q: it needs %s", name, f.needs)
		}
	}
	if err := harness.Prepare(); err != nil {
		return Report{}, err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil { //nolint:gosec // reports for everybody
		return Report{}, fmt.Errorf("make the folder of the run: %w", err)
	}
	if err := forget(s.Dir); err != nil {
		return Report{}, err
	}
	r := Report{Seed: s.Seed, Length: s.Length, Version: version(), Links: linksBy(), Unplayed: map[string]string{}}
	rounds := plan(s, func(f fault, _ harness.Shape) bool { return !f.missing(s) })
	for _, f := range table() {
		if f.missing(s) && len(s.Only) == 0 {
			r.Unplayed[f.name] = f.needs
		}
	}
	for _, p := range rounds {
		fmt.Fprintf(s.Log, "round %d in the shape %s: %v, %d steps of faults\n", p.Number, p.Shape, p.Length, len(p.Steps))
		unable, stopped := playRound(s, p)
		r.Unable = append(r.Unable, unable...)
		if len(unable) > 0 {
			continue
		}
		one, err := checkRound(roundDir(s.Dir, p))
		if err != nil {
			return r, err
		}
		for _, why := range stopped {
			one.Findings = append(one.Findings, Finding{Kind: Stopped, Round: one.Name, What: why})
		}
		r.Rounds = append(r.Rounds, one)
	}
	return r, nil
}

// forget removes the rounds of an earlier run.
func forget(dir string) error {
	rounds, err := filepath.Glob(filepath.Join(dir, "round-*"))
	for _, r := range rounds {
		err = errors.Join(err, os.RemoveAll(r))
	}
	if err != nil {
		return fmt.Errorf("remove an earlier run: %w", err)
	}
	return nil
}

// Check joins the journals of an earlier run again.
func Check(dir string) (Report, error) {
	r := Report{Version: version(), Links: "as in that run"}
	if raw, err := os.ReadFile(filepath.Join(dir, reportFile)); err == nil {
		if err := json.Unmarshal(raw, &r); err != nil {
			return r, fmt.Errorf("read the report of that run: %w", err)
		}
		r.Rounds = nil
	}
	dirs, err := filepath.Glob(filepath.Join(dir, "round-*"))
	if err != nil || len(dirs) == 0 {
		return r, fmt.Errorf("look for rounds in %s: there are none", dir)
	}
	slices.Sort(dirs)
	for _, d := range dirs {
		one, err := checkRound(d)
		if err != nil {
			return r, err
		}
		r.Rounds = append(r.Rounds, one)
	}
	return r, nil
}

// version is the commit that the run is made from.
func version() string {
	root, err := harness.Root()
	if err != nil {
		return "unknown"
	}
	out, err := shell(fmt.Sprintf("git -C %q describe --tags --always --dirty", root))
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(out)
}
