package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// intake measures accepted events per second, fsynced, many publishers beside one.
func (b *bench) intake() []row {
	s := newSite(b)
	_, a := b.system(s, "always", 0)
	at, rates := 0, map[int]float64{}
	for _, c := range []struct{ publishers, events int }{{1, 2000}, {64, b.events}, {256, b.events}} {
		began := b.publish(a, at, at+c.events, c.publishers)
		rates[c.publishers] = float64(c.events) / time.Since(began).Seconds()
		at += c.events
		b.Logf("%d publisher(s): %.0f/s", c.publishers, rates[c.publishers])
	}
	var rows []row
	for _, c := range []struct {
		publishers int
		reach      string
	}{{64, "≥ 8"}, {256, "≥ 14"}} {
		rows = append(rows, row{
			fmt.Sprintf("intake, fsynced, %d publishers", c.publishers), fmt.Sprintf("%.0f/s", rates[c.publishers]),
			fmt.Sprintf("%.0f/s sequential", rates[1]), fmt.Sprintf("%.1f", rates[c.publishers]/rates[1]), c.reach,
		})
	}
	return rows
}

// ownCPU is the processor time that the bench itself has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// micros is a time shared out, in microseconds.
func micros(d time.Duration, n int) float64 { return float64(d.Microseconds()) / float64(n) }

// machine is what the figures were measured on.
func machine() string {
	cpu := "unknown CPU"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, l := range strings.Split(string(raw), "\n") {
			if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	load := ""
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = ", load at the beginning " + strings.Fields(string(raw))[0]
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s%s, %s.", cpu, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), load,
		time.Now().UTC().Format(time.DateOnly))
}
