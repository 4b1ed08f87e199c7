package main

import (
	"fmt"
	"os/exec"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// slow measures on a disk whose syncs take long: each fdatasync and fsync of the system is delayed by strace. One event's syncs are the
// system's own count.
func (b *bench) slow() []row {
	tracer, err := exec.LookPath("strace")
	if err != nil {
		b.Logf("not measured: strace is not installed")
		return nil
	}
	s := newSite(b)
	h, a := b.system(s, "always", 1)
	h.Stop(b)
	h.Alter(b, harness.One, func(c *harness.Command) {
		// The tracer is no parent of the process, so that processor time and signals are the process's own.
		c.Args = append([]string{"-DDD", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fdatasync,fsync",
			"-e", fmt.Sprintf("inject=fdatasync,fsync:delay_enter=%d", b.syncDelay.Microseconds()), c.Path}, c.Args...)
		c.Path = tracer
	})
	h.StartAll(b)
	var rows []row
	sent := 0
	for _, c := range []struct{ publishers, events int }{{1, 200}, {64, b.events / 10}, {publishers, b.events / 5}} {
		s.reset(false)
		written, used := parcels(a, way{}, sent, sent+c.events), b.use(h)
		sent += c.events
		began := b.hand(written, c.publishers)
		took := time.Unix(0, s.await(c.events, 3*time.Minute).Last).Sub(began)
		rows = append(rows, row{
			fmt.Sprintf("a sync takes %s longer, 1 recipient(s), %d publisher(s)", b.syncDelay, c.publishers),
			fmt.Sprintf("%.0f/s, %s", float64(c.events)/took.Seconds(), used.each(c.events, c.events)), "", "", "",
		})
	}
	return rows
}
