package setup

import (
	"context"
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/lease"
)

// keyStandby is the key of the notice of a process that waits for a lease.
const keyStandby = "standby"

// Lease waits until this process may do what only one process does at a time, and renews its lease while it runs. Meanwhile /readyz and the
// status say which process acts. If another process takes over, because this one was frozen for too long, Run ends with lease.ErrLost.
func (p *Process) Lease(ctx context.Context, name string) (*lease.Lease, error) {
	l := lease.New(lease.Options{Conn: p.Bus, Name: name,
		Self: lease.Holder{Instance: p.presence.Instance, Host: p.presence.Host, PID: p.presence.PID}})
	announcing, stop := context.WithCancel(ctx)
	announced := make(chan error, 1)
	go func() { announced <- p.announce(announcing) }()
	err := l.Acquire(ctx, func(h lease.Holder) {
		text := fmt.Sprintf("This process is on standby: process %d on %s acts as %s. This one takes over when that one ends.", h.PID,
			h.Host, name)
		p.starting.Wait(text)
		p.Notices.Set(keyStandby, text)
	})
	stop()
	if announceErr := <-announced; err == nil {
		err = announceErr
	}
	p.starting.Wait("")
	p.Notices.Clear(keyStandby)
	if err != nil {
		return nil, err
	}
	p.Add("lease", l.Run)
	return l, nil
}

// announce answers pings until ctx ends.
func (p *Process) announce(ctx context.Context) error {
	return control.New(p.Bus).Announce(ctx, p.Notices.All, p.presence)
}
