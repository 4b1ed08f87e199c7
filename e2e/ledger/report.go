package ledger

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is the result of a run.
type Report struct {
	Seed    uint64        `json:"seed"`
	Length  time.Duration `json:"length"`
	Version string        `json:"version"`
	// Links says how links between processes are disturbed.
	Links  string        `json:"links"`
	Rounds []RoundReport `json:"rounds"`
	// Unplayed are the faults that the table has and this run could not play, with what they need.
	Unplayed map[string]string `json:"unplayed"`
	// Unable is why rounds could not begin.
	Unable []string `json:"unable,omitempty"`
}

// RoundReport is the result of one round.
type RoundReport struct {
	Name  string `json:"name"`
	Shape string `json:"shape"`
	// Accepted, Refused and Unknown count events by what the publisher was answered.
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
	Unknown  int `json:"unknown"`
	// Owed is accepted events times matching recipients; Delivered those that are DELIVERED and that the receiver accepted.
	Owed      int `json:"owed"`
	Delivered int `json:"delivered"`
	// Requests is everything that reached receivers.
	Requests int `json:"requests"`
	// States counts owed deliveries by their state, Duplicates requests after a success by their cause.
	States     map[string]int `json:"states"`
	Duplicates map[string]int `json:"duplicates"`
	Steps      []StepReport   `json:"steps"`
	Findings   []Finding      `json:"findings"`
}

// StepReport is what came of one step.
type StepReport struct {
	Name     string        `json:"name"`
	Detail   string        `json:"detail"`
	Lasted   time.Duration `json:"lasted"`
	Recovery time.Duration `json:"recovery"`
	Within   time.Duration `json:"within"`
	Allowed  int           `json:"allowed"`
	// StartedAgain is why processes had to be started more than once: they ended instead of waiting.
	StartedAgain []string `json:"startedAgain,omitempty"`
}

// Findings are those of all rounds.
func (r Report) Findings() (out []Finding) {
	for _, x := range r.Rounds {
		out = append(out, x.Findings...)
	}
	return out
}

// Code is the exit code: 0 clean, 1 something is wrong with Outbound, 2 the run could not be made.
func (r Report) Code() int {
	switch {
	case len(r.Findings()) > 0:
		return 1
	case len(r.Unable) > 0 || len(r.Rounds) == 0:
		return unableCode
	default:
		return 0
	}
}

// unableCode is the exit code of a run that could not be made.
const unableCode = 2

// reportFile is the report for scripts.
const reportFile = "report.json"

// Write writes report.json and report.md into a folder, and the latter also to out.
func (r Report) Write(dir string, out io.Writer) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, reportFile), append(raw, '\n'), 0o644) //nolint:gosec // a report for everybody
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "report.md"), []byte(r.String()), 0o644) //nolint:gosec // a report for everybody
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	fmt.Fprint(out, r.String())
	return nil
}

// String is the report in Markdown.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Ledger, seed %d\n\n**%s**, %v of publishing, version %s. Links: %s.\n\n", r.Seed, r.verdict(), r.Length,
		r.Version, r.Links)
	r.rounds(&b)
	r.steps(&b)
	r.causes(&b)
	r.findings(&b)
	return b.String()
}

func (r Report) verdict() string {
	counts := map[string]int{}
	for _, f := range r.Findings() {
		counts[f.Kind]++
	}
	if r.Code() == unableCode {
		return "could not run"
	}
	var words []string
	for _, k := range []string{Lost, Phantom, Changed, Sum, Intake, Number, Promise, Stopped} {
		words = append(words, fmt.Sprint(k, " ", counts[k]))
	}
	return strings.Join(words, ", ")
}

func (r Report) rounds(b *strings.Builder) {
	b.WriteString("| round | accepted | refused | no result | owed | states | requests | duplicates | faults |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rounds {
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %s | %d | %d | %d |\n", x.Name, x.Accepted, x.Refused, x.Unknown, x.Owed,
			counted(x.States), x.Requests, sum(x.Duplicates), len(x.Steps))
	}
	b.WriteString("\n")
}

func counted(m map[string]int) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		words = append(words, strings.TrimSpace(fmt.Sprint(m[k], " ", k)))
	}
	return strings.Join(words, ", ")
}

func sum(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

// row sums up a fault over all rounds in a shape.
type row struct {
	times, duplicates, allowed, again int
	recoveries                        []time.Duration
	within                            time.Duration
}

func (r Report) steps(b *strings.Builder) {
	rows := map[string]*row{}
	for _, x := range r.Rounds {
		for _, s := range x.Steps {
			name := s.Name + " | " + x.Shape
			k := rows[name]
			if k == nil {
				k = &row{}
				rows[name] = k
			}
			k.times, k.allowed, k.within = k.times+1, s.Allowed, s.Within
			k.again += len(s.StartedAgain)
			k.recoveries = append(k.recoveries, s.Recovery)
		}
		for cause, n := range x.Duplicates {
			if k := rows[cause+" | "+x.Shape]; k != nil {
				k.duplicates += n
			}
		}
	}
	b.WriteString("| fault | shape | times | duplicates | allowed each | recovery, median | longest | promised | starts that failed |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		k := rows[name]
		slices.Sort(k.recoveries)
		fmt.Fprintf(b, "| %s | %d | %d | %d | %v | %v | %v | %d |\n", name, k.times, k.duplicates, k.allowed,
			k.recoveries[len(k.recoveries)/2].Round(10*time.Millisecond), k.recoveries[len(k.recoveries)-1].Round(10*time.Millisecond),
			k.within, k.again)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Unplayed)) {
		fmt.Fprintf(b, "| %s | | not played: needs %s | | | | | | |\n", name, r.Unplayed[name])
	}
	b.WriteString("\n")
}

func (r Report) causes(b *strings.Builder) {
	all := map[string]int{}
	for _, x := range r.Rounds {
		for cause, n := range x.Duplicates {
			all[cause] += n
		}
	}
	if len(all) == 0 {
		return
	}
	b.WriteString("| duplicates caused by | number |\n|---|---|\n")
	for _, cause := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(b, "| %s | %d |\n", cause, all[cause])
	}
	b.WriteString("\n")
}

// shown is how many findings of a kind the report for people has; the JSON has all.
const shown = 20

func (r Report) findings(b *strings.Builder) {
	counts := map[string]int{}
	for _, f := range r.Findings() {
		if counts[f.Kind]++; counts[f.Kind] > shown {
			continue
		}
		during := ""
		if f.During != "" {
			during = " (during " + f.During + ")"
		}
		fmt.Fprintf(b, "- **%s** in %s: %s%s\n", f.Kind, f.Round, f.What, during)
	}
	for _, u := range r.Unable {
		fmt.Fprintf(b, "- could not begin: %s\n", u)
	}
	if len(r.Findings())+len(r.Unable) > 0 {
		fmt.Fprintf(b, "\nRun it again: make ledger SEED=%d MINUTES=%g\n", r.Seed, r.Length.Minutes())
	}
}
