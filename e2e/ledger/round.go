package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// publishPatience is how long after the last fault a publish is repeated that has no result.
const publishPatience = 2 * time.Minute

// playRound runs one round. It returns why it could not begin, and why it could not go on.
func playRound(s Settings, p roundPlan) (unable, stopped []string) {
	dir := roundDir(s.Dir, p)
	if err := writePlan(dir, p); err != nil {
		return []string{err.Error()}, nil
	}
	st := &stage{name: filepath.Base(dir), dir: dir, log: s.Log}
	began := false
	why := onStage(st, func() {
		w := begin(st, s, p)
		began = true
		w.play()
	})
	if !began {
		return why, nil
	}
	return nil, why
}

func roundDir(dir string, p roundPlan) string {
	return filepath.Join(dir, fmt.Sprintf("round-%02d-%s", p.Number, p.Shape))
}

func writePlan(dir string, p roundPlan) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // reports for everybody
		return fmt.Errorf("make the round's folder: %w", err)
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, planFile), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// play publishes while the faults of the plan happen, waits for the end of all deliveries, and writes down their states.
func (w *world) play() {
	publishing, stop := context.WithCancel(context.Background())
	defer stop()
	last, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	ended := make(chan int, 1)
	go func() { ended <- w.publisher.run(publishing, last, w.plan.Rate) }()
	began := time.Now()
	// Whatever a fault leaves broken, what was accepted until then is joined.
	w.Cleanup(func() { stop(); giveUp() })
	for i, x := range w.plan.Steps {
		pause(publishing, x.After)
		w.step(i, x)
	}
	pause(publishing, w.plan.Length-time.Since(began))
	stop()
	timer := time.AfterFunc(publishPatience, giveUp)
	defer timer.Stop()
	n := <-ended
	w.Logf("published %d events in %v: %d accepted, %d refused, %d tries repeated", n, time.Since(began).Round(time.Second),
		w.publisher.accepted.Load(), w.publisher.refused.Load(), w.publisher.repeats.Load())
	select {
	case err := <-w.publisher.failed:
		w.Fatalf("%v", err)
	default:
	}
	w.drain()
	w.system.Stop(w)
}

// step plays the faults of a step at once, ends them, and takes the time until a fresh event is delivered.
func (w *world) step(i int, x step) {
	got := struck{Step: i + 1, Faults: x.Faults, Began: time.Now()}
	discarded := w.discarded()
	name := strings.Join(x.Faults, " + ")
	var mends []func()
	why := w.try(func(t *stage) {
		on := *w
		on.stage = t
		for k, f := range x.Faults {
			fault, err := find(f)
			if err != nil {
				t.Fatalf("%v", err)
			}
			rnd := stream(x.Seed, fmt.Sprint("fault ", k))
			detail, mend := fault.strike(&on, rnd)
			got.Detail = append(got.Detail, detail)
			if mend != nil {
				mends = append(mends, mend)
			}
		}
		pause(context.Background(), x.Hold)
		got.Mended = time.Now()
		// All at once: a process that is started waits for one that is frozen.
		var mending sync.WaitGroup
		for _, mend := range mends {
			mending.Go(mend)
		}
		mending.Wait()
	})
	got.StartedAgain = w.startedAgain.take()
	if got.Mended.IsZero() {
		got.Mended = time.Now()
	}
	got.Failed = strings.Join(why, "; ")
	if got.Failed == "" {
		recovery, err := w.probe(got.Mended, fmt.Sprint(i+1))
		got.Recovery = recovery
		if err != nil {
			got.Failed = err.Error()
		}
	}
	got.Ended, got.Discarded = time.Now(), w.discarded()-discarded
	w.Logf("%s (%s) for %v: recovered %v after its end %s", name, strings.Join(got.Detail, "; "), x.Hold.Round(time.Millisecond),
		got.Recovery.Round(time.Millisecond), got.Failed)
	if err := w.faults.add(got); err != nil {
		w.Fatalf("%v", err)
	}
	if got.Failed != "" {
		w.revive(got.Failed)
	}
}

// revive does what an operator would when Outbound does not recover by itself: it restarts everything. The failure stays on the record.
func (w *world) revive(why string) {
	w.Logf("restarting everything, because: %s", why)
	for _, name := range w.system.Parts() {
		w.system.Thaw(w, name)
		if w.system.Running(w, name) {
			w.system.Kill(w, name)
		}
	}
	w.startAll()
}
