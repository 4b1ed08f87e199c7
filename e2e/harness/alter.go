package harness

import (
	"slices"
	"syscall"
)

// Thaw has a process that was frozen go on.
func (h *System) Thaw(t T, name string) {
	t.Helper()
	p := h.part(t, name)
	p.process.signal(syscall.SIGCONT)
	p.killed = false
}

// Alter changes what a process is started with, from its next start on.
func (h *System) Alter(t T, name string, change func(c *Command)) {
	t.Helper()
	p := h.part(t, name)
	c := Command{Name: p.name, Path: p.path, Args: slices.Clone(p.args), Env: slices.Clone(p.env)}
	change(&c)
	p.path, p.args, p.env = c.Path, c.Args, c.Env
}

// Running reports whether a process has been started and has not ended.
func (h *System) Running(t T, name string) bool {
	t.Helper()
	p := h.part(t, name)
	return p.process != nil && !p.process.Exited()
}

// Brokers are the names of the stock nats-servers; none in the all-in-one.
func (h *System) Brokers() (out []string) {
	for _, p := range h.parts {
		if isBroker(p.name) {
			out = append(out, p.name)
		}
	}
	return out
}

// Monitor is the monitoring address of a stock nats-server, host:port.
func (h *System) Monitor(name string) string { return h.monitors[name] }

// awaitCluster waits until each broker says that its JetStream has a leader and is current.
func (h *System) awaitCluster(t T) {
	t.Helper()
	for _, b := range h.Brokers() {
		h.AwaitBroker(t, b)
	}
}
