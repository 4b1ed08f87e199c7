// Pictures draws the dashboards in deploy/grafana/dashboards: `make dashboards`. It runs a system under a load that changes, scrapes it
// into Prometheus's database, evaluates the queries of each panel as Grafana does, and draws the panels where the dashboard has them.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/tools/deploytest/metrics"
)

// warmth is how much of the begin of a run is not shown: rates need some scrapes.
const warmth = 6

func main() {
	p := &program{}
	flag.StringVar(&p.root, "root", filepath.Join("..", ".."), "root of the repository")
	flag.DurationVar(&p.length, "for", 6*time.Minute, "how long the system runs")
	flag.DurationVar(&p.every, "every", 5*time.Second, "scrape interval")
	again := flag.Bool("again", false, "draw what the last run scraped")
	flag.Parse()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.cleanup()
		if !*again {
			p.run()
		}
		if err := p.draw(); err != nil {
			p.Fatalf("%v", err)
		}
	}()
	<-done
	if p.failed {
		os.Exit(1)
	}
}

// program is what a system takes for a test.
type program struct {
	root          string
	length, every time.Duration
	failed        bool
	undo          []func()
}

// scrapes is the folder of what was scraped, a file for each time.
func (p *program) scrapes() string { return filepath.Join(p.root, ".build", "dashboards") }

// run runs the scenario and keeps what it scrapes.
func (p *program) run() {
	if err := os.RemoveAll(p.scrapes()); err != nil {
		p.Fatalf("%v", err)
	}
	if err := os.MkdirAll(p.scrapes(), 0o750); err != nil {
		p.Fatalf("%v", err)
	}
	s := begun(p, p.root, p.length)
	for next := time.Now(); s.phase() < 1; time.Sleep(50 * time.Millisecond) {
		s.publish()
		if time.Now().Before(next) {
			continue
		}
		next = next.Add(p.every)
		at := time.Now()
		file := filepath.Join(p.scrapes(), strconv.FormatInt(at.UnixMilli(), 10))
		if err := os.WriteFile(file, s.Scrape(), 0o600); err != nil {
			p.Fatalf("%v", err)
		}
	}
}

// load stores what was scraped in a database, and returns the time that it covers.
func (p *program) load(db *metrics.Database) (span, error) {
	files, err := os.ReadDir(p.scrapes())
	if err != nil {
		return span{}, fmt.Errorf("look for what was scraped: %w", err)
	}
	var times []time.Time
	for _, f := range files {
		ms, err := strconv.ParseInt(f.Name(), 10, 64)
		if err != nil {
			return span{}, err
		}
		times = append(times, time.UnixMilli(ms))
	}
	slices.SortFunc(times, time.Time.Compare)
	for _, at := range times {
		text, err := os.ReadFile(filepath.Join(p.scrapes(), strconv.FormatInt(at.UnixMilli(), 10)))
		if err != nil {
			return span{}, err
		}
		if err := db.Add(text, at); err != nil {
			return span{}, err
		}
	}
	if len(times) <= warmth+1 {
		return span{}, fmt.Errorf("there are only %d scrapes: run for longer", len(times))
	}
	return span{times[warmth].Truncate(p.every).Add(p.every), times[len(times)-1].Truncate(p.every).Add(p.every), p.every}, nil
}

// draw draws the picture of each dashboard.
func (p *program) draw() error {
	db, err := metrics.Open(p.TempDir())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	shown, err := p.load(db)
	if err != nil {
		return err
	}
	boards, err := filepath.Glob(filepath.Join(p.root, "deploy", "grafana", "dashboards", "*.json"))
	if err != nil {
		return err
	}
	for _, file := range boards {
		b, err := readBoard(file)
		if err != nil {
			return err
		}
		drawn, err := newPage(db, shown, b)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		name := "dashboard-" + strings.TrimSuffix(filepath.Base(file), ".json") + ".png"
		if err := shoot(drawn, p.TempDir(), filepath.Join(p.root, "docs", "images", name)); err != nil {
			return err
		}
	}
	return nil
}

// Helper does nothing.
func (p *program) Helper() {}

// Logf tells how it goes.
func (p *program) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "dashboards: "+format+"\n", args...)
}

// Fatalf ends the program.
func (p *program) Fatalf(format string, args ...any) {
	p.failed = true
	p.Logf(format, args...)
	runtime.Goexit()
}

// Failed reports whether something failed.
func (p *program) Failed() bool { return p.failed }

// Cleanup runs f at the end, the last first.
func (p *program) Cleanup(f func()) { p.undo = append(p.undo, f) }

func (p *program) cleanup() {
	for i := len(p.undo) - 1; i >= 0; i-- {
		p.undo[i]()
	}
}

// TempDir is a new folder, taken away at the end.
func (p *program) TempDir() string {
	dir, err := os.MkdirTemp("", "outbound-dashboards-")
	if err != nil {
		p.Fatalf("make a folder: %v", err)
	}
	p.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
