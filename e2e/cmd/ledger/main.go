// Ledger runs Outbound under faults and checks that nothing is lost. docs/reliability.md describes it; `make ledger` runs it.
//
// It exits with 0 if all is well, with 1 if something was lost, changed, invented or counted wrongly or a promise was broken, and with 2
// if the run could not be made.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/e2e/ledger"
	"github.com/outbound-events/outbound/e2e/mutation"
)

func main() { os.Exit(run()) }

const unable = 2

func run() int {
	var s ledger.Settings
	var shapes, only string
	flag.Uint64Var(&s.Seed, "seed", 0, "seed of the run; 0: a random one")
	minutes := flag.Float64("minutes", 5, "how long events are published, in all")
	flag.IntVar(&s.Rate, "rate", 40, "events a second")
	flag.StringVar(&shapes, "shapes", "", "shapes to run in, separated by commas: allinone, services, cluster; empty: all")
	flag.StringVar(&only, "faults", "", "faults to play, separated by commas; empty: all that can be played")
	flag.StringVar(&s.From, "from", "", "folder with an earlier version: bin/ and deploy/options/")
	flag.StringVar(&s.ClockSkew, "clockskew", "", "folder with binaries that honour OUTBOUND_TEST_CLOCK_OFFSET")
	flag.BoolVar(&s.LongFaults, "long", false, "also play faults longer than the ack wait (45 s)")
	flag.IntVar(&s.Limit, "limit", 0, "most faults in a round; 0: as many as fit")
	flag.StringVar(&s.Dir, "dir", "", "folder for journals, logs and the report; empty: .build/ledger/<seed>")
	mutations := flag.Bool("mutations", false, "run against builds that are broken on purpose; each must be caught")
	mutation := flag.String("mutation", "", "with -mutations: those to run, separated by commas; empty: all")
	check := flag.String("check", "", "only check the journals of an earlier run in this folder")
	flag.Parse()
	if s.Seed == 0 {
		s.Seed = rand.Uint64N(1 << 32) //nolint:gosec // any number will do
	}
	s.Length, s.Log = time.Duration(*minutes*float64(time.Minute)), os.Stderr
	for _, x := range list(shapes) {
		s.Shapes = append(s.Shapes, harness.Shape(x))
	}
	s.Only = list(only)
	if err := place(&s); err != nil {
		return fail(err)
	}
	if *mutations {
		return mutate(s, list(*mutation))
	}
	return play(s, *check)
}

// play makes a run in a network namespace of its own, where there is one to be had, or joins the journals of an earlier run.
func play(s ledger.Settings, check string) int {
	var report ledger.Report
	err := harness.Prepare()
	if err == nil && check == "" {
		code, done, problem := ledger.Isolate()
		if done {
			return code
		}
		err = problem
	}
	if err != nil {
		return fail(err)
	}
	if check != "" {
		s.Dir = check
		report, err = ledger.Check(check)
	} else {
		fmt.Fprintf(os.Stderr, "ledger: seed %d, in %s\n", s.Seed, s.Dir)
		report, err = ledger.Run(s)
	}
	if err == nil {
		err = report.Write(s.Dir, os.Stdout)
	}
	if err != nil {
		return fail(err)
	}
	return report.Code()
}

// mutate runs the mutations and returns 1 if one was not caught.
func mutate(s ledger.Settings, only []string) int {
	err := mutation.Run(mutation.Options{Seed: s.Seed, Length: s.Length, Only: only, Dir: filepath.Join(s.Dir, "mutations"), Out: os.Stdout})
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		return 1
	}
	return 0
}

// place chooses the folder of the run.
func place(s *ledger.Settings) error {
	if s.Dir == "" {
		root, err := harness.Root()
		if err != nil {
			return err
		}
		s.Dir = filepath.Join(root, ".build", "ledger", fmt.Sprint(s.Seed))
	}
	return nil
}

func list(text string) (out []string) {
	for _, x := range strings.Split(text, ",") {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "ledger:", err)
	return unable
}
