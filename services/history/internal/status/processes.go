package status

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

const (
	// pingEvery is the pause between two pings, pingWait how long one waits for answers.
	pingEvery = 2 * time.Second
	pingWait  = 200 * time.Millisecond
	// pingMaxAge is how old answers may be to be shown without another ping.
	pingMaxAge = 10 * time.Second
)

// processes are the processes of Outbound that answer pings. They are pinged in the background, so that no caller waits for them.
type processes struct {
	bus *bus.Conn

	mu    sync.Mutex
	asked time.Time
	all   []control.Presence
}

func (p *processes) run(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		// An error is no harm: the next ping comes soon.
		_, _ = p.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *processes) ask(ctx context.Context) ([]control.Presence, error) {
	all, err := control.New(p.bus).Ping(ctx, pingWait)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all, p.asked = all, time.Now()
	return all, nil
}

// known returns the processes that answered lately.
func (p *processes) known(ctx context.Context) ([]control.Presence, error) {
	p.mu.Lock()
	all, asked := p.all, p.asked
	p.mu.Unlock()
	if len(all) > 0 && time.Since(asked) < pingMaxAge {
		return all, nil
	}
	return p.ask(ctx)
}

// statuses returns the processes as API messages, by name.
func (p *processes) statuses(ctx context.Context) ([]*outboundv1.ServiceStatus, error) {
	all, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*outboundv1.ServiceStatus, 0, len(all))
	for _, x := range all {
		out = append(out, &outboundv1.ServiceStatus{
			Name: x.Name, Instance: x.Instance, Version: x.Version, StartTime: protofield.Timestamp(x.Start),
		})
	}
	slices.SortFunc(out, func(a, b *outboundv1.ServiceStatus) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.GetInstance(), b.GetInstance()))
	})
	return out, nil
}

// notices returns what the processes have to say. Each names its process, unless there is only one.
func (p *processes) notices(ctx context.Context) ([]string, error) {
	all, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	all, shared := control.WithoutSharedClock(slices.Clone(all))
	slices.SortFunc(all, func(a, b control.Presence) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID))
	})
	alone := !slices.ContainsFunc(all, func(x control.Presence) bool { return x.Instance != all[0].Instance })
	var out []string
	if shared != "" {
		out = append(out, shared)
	}
	for _, x := range all {
		for _, text := range x.Notices {
			if !alone {
				text = fmt.Sprintf("%s on %s (process %d): %s", x.Name, x.Host, x.PID, text)
			}
			out = append(out, text)
		}
	}
	return out, nil
}
