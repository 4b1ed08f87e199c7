// Bench measures Outbound beside a baseline, in one run on one machine, and prints a table of ratios.
//
// The baseline is the http-sender's own transport posting the same bodies to the same receiver, and nothing else: no broker,
// no record, no retry. The receiver is a process of its own. docs/benchmarks.md tells the method and keeps a table.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// settings are what a run is asked to do.
type settings struct {
	events  int
	bare    int
	rows    []string
	out     string
	repeats int
	records int
	backlog int
	sizes   []int
	window  time.Duration
	// soakTime is how long a soak is, syncDelay how much longer a sync takes on the slow disk, plots the folder for charts.
	soakTime, syncDelay time.Duration
	plots               string
}

func main() { os.Exit(run()) }

func run() int {
	var s settings
	var rows, sizes string
	receive := flag.Bool("receiver", false, "be the receiver (the bench starts itself so)")
	flag.IntVar(&s.events, "events", 20000, "events of a delivery row with one recipient; ten recipients get a fifth")
	flag.IntVar(&s.bare, "bare", 30000, "posts of a baseline")
	flag.IntVar(&s.repeats, "repeats", 1, "runs of each delivery row; the table shows the middle one")
	flag.IntVar(&s.records, "records", 1_000_000, "records of the search row's log")
	flag.IntVar(&s.backlog, "drain", 100_000, "events of the drain row's backlog")
	flag.StringVar(&sizes, "sizes", "1,10,100,1000", "numbers of recipients of the scale row")
	flag.DurationVar(&s.window, "window", time.Minute, "how long the scale row looks at an idle system, and at one at a steady pace")
	flag.DurationVar(&s.syncDelay, "slow", 10*time.Millisecond, "how much longer a sync to disk takes in the slow row")
	minutes := flag.Float64("minutes", 30, "minutes of the soak row")
	flag.StringVar(&s.plots, "plots", "", "also draw growth curves of the scale and soak rows, as SVG files in this folder")
	flag.StringVar(&rows, "rows", "delivery,latency,slow,start,intake,isolation,expiry,limit,search,console,scale,drain,senders",
		"rows to measure; soak, shards and cluster are measured only if they are named")
	flag.StringVar(&s.out, "out", "", "also write the table to this file")
	flag.Parse()
	if *receive {
		return receiver()
	}
	s.rows, s.soakTime = strings.Split(rows, ","), time.Duration(*minutes*float64(time.Minute))
	for _, size := range strings.Split(sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1 || n > scaleMost {
			fmt.Fprintf(os.Stderr, "bench: -sizes %s: %q is no number of recipients: use 1 to %d\n", sizes, size, scaleMost)
			return 2
		}
		s.sizes = append(s.sizes, n)
	}
	if err := harness.Prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	table, err := measure(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return write(s.out, table)
}

func write(file, table string) int {
	fmt.Print("\n", table)
	if file == "" {
		return 0
	}
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil { //nolint:gosec // a table for everybody
		fmt.Fprintln(os.Stderr, "bench: write the table:", err)
		return 1
	}
	return 0
}

// row is one line of the table.
type row struct{ what, measured, bare, ratio, reach string }

// measure runs the rows asked for.
func measure(s settings) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n| what | measured | baseline | ratio | to reach |\n|---|---|---|---|---|\n", machine())
	for _, m := range []struct {
		name string
		run  func(*bench) []row
	}{
		{"delivery", (*bench).delivery}, {"latency", (*bench).latency}, {"start", (*bench).start}, {"intake", (*bench).intake},
		{"isolation", (*bench).isolation},
		{"expiry", (*bench).expiry}, {"limit", (*bench).limit}, {"search", (*bench).search}, {"console", (*bench).console},
		{"scale", (*bench).scale}, {"shards", (*bench).shards}, {"cluster", (*bench).clusters},
		{"drain", (*bench).drains}, {"senders", (*bench).senders},
		{"slow", (*bench).slow}, {"soak", (*bench).soak},
	} {
		if !slices.Contains(s.rows, m.name) {
			continue
		}
		rows, err := attempt(s, m.name, m.run)
		if err != nil {
			return "", err
		}
		for _, r := range rows {
			line(&b, r)
		}
	}
	return b.String(), nil
}

func line(w io.Writer, r row) {
	text := fmt.Sprintf("| %s | %s | %s | %s | %s |\n", r.what, r.measured, r.bare, r.ratio, r.reach)
	fmt.Fprint(os.Stderr, text)
	_, _ = io.WriteString(w, text)
}
