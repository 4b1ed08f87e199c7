package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// limit measures a rate limit that three http-senders, processes of their own, share by Redis.
func (b *bench) limit() []row {
	const senders, perSecond, seconds = 3, 50, 12
	s := newSite(b)
	h := harness.StartSenders(b, b.TempDir(), senders, b.redis())
	h.AddRecipient(b, harness.Object{"displayName": "limited", "eventTypes": []string{eventType}, "http": harness.Object{
		"url": s.url(0), "rateLimit": harness.Object{"limit": perSecond, "period": "1s"},
	}})
	a := h.AddAppliance(b, appliance)
	s.reset(true)
	b.publish(a, 0, perSecond*seconds, publishers)
	st := s.await(perSecond*seconds, 3*time.Minute)
	var at []int64
	for _, t := range st.Arrived {
		at = append(at, t)
	}
	slices.Sort(at)
	took := time.Duration(at[len(at)-1] - at[0])
	rate := float64(len(at)-1) / took.Seconds()
	busiest := 0
	for i, t := range at {
		// The events of the second that begins with this one.
		end, _ := slices.BinarySearch(at, t+time.Second.Nanoseconds())
		busiest = max(busiest, end-i)
	}
	return []row{{
		fmt.Sprintf("rate limit of %d/s, %d senders sharing Redis", perSecond, senders),
		fmt.Sprintf("%.1f/s over %.0f s, at most %d in a second", rate, took.Seconds(), busiest),
		"", fmt.Sprintf("%.2f", rate/perSecond), "0.90 to 1.10",
	}}
}

// redis starts a redis-server without persistence and returns its address.
func (b *bench) redis() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatalf("look for a free port: %v", err)
	}
	address := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(context.Background(), "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
		"no", "--dir", b.TempDir()) //nolint:gosec // a port of our choice
	if err := cmd.Start(); err != nil {
		b.Fatalf("start redis-server (`make test` installs it on Debian): %v", err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	harness.Until(b, 10*time.Second, "redis-server to listen", func() error {
		var d net.Dialer
		c, err := d.DialContext(context.Background(), "tcp", address)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return address
}
