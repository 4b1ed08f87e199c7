// Config owns the configuration: recipients, settings, appliances, and one durable consumer per recipient. It makes the
// streams at its start.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/config"
	"github.com/outbound-events/outbound/services/internal/setup"
)

type options struct {
	setup.Common `yaml:",inline"`
	setup.Server `yaml:",inline"`
	setup.Sealed `yaml:",inline"`
	// Streams are the bounds of the streams.
	Streams bus.StreamOptions `yaml:"streams"`
	// Accounts are the accounts of appliances at a broker in operator mode.
	Accounts setup.Accounts `yaml:"brokerAccounts"`
	Service  config.Options `yaml:",inline"`
}

// Validate reports every fault at once.
func (o *options) Validate() error {
	var f process.Faults
	f.Within("", setup.Validate(o.Service, o.Common, o.Server, o.Sealed))
	f.Within("streams", o.Streams.Validate())
	f.Within("brokerAccounts", o.Accounts.Validate())
	if o.Accounts.KeyFile != "" && o.NATS.CredsFile == "" {
		f.Add("nats.credsFile", "is missing: with brokerAccounts the broker knows its users by credentials; set it to core.creds")
	}
	return f.Err()
}

func main() {
	o := options{Common: setup.DefaultCommon(), Server: setup.DefaultServer(), Streams: bus.DefaultStreamOptions(),
		Service: config.DefaultOptions()}
	os.Exit(process.Main("config", &o, func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	p, err := setup.Open(ctx, "config", o.Common)
	if err != nil {
		return err
	}
	defer p.Close()
	sealer, err := p.Sealer(o.Sealed)
	if err != nil {
		return err
	}
	store := p.Store(storecheck.Bucket{Conn: p.Bus})
	if err := store.Open(ctx, o.Streams); err != nil {
		if errors.Is(err, bus.ErrDamaged) {
			return fmt.Errorf("%w: the start was refused and nothing was changed: restore a backup, or see what a repair would do: "+
				"outbound repair --nats %s --dry-run", err, o.NATS.URL)
		}
		return err
	}
	lease, err := p.Lease(ctx, "config")
	if err != nil {
		return err
	}
	publisher := bus.NewPublisher(p.Bus)
	p.Defer(publisher.Close)
	resolver, err := p.OpenAccounts(ctx, o.Accounts)
	if err != nil {
		return fmt.Errorf("brokerAccounts: %w", err)
	}
	s, err := config.New(o.Service, config.Deps{Bus: p.Bus, Publisher: publisher, Sealer: sealer, Logger: p.Telemetry.Logger,
		Notices: p.Notices, Hold: lease.Hold, Accounts: resolver})
	if err != nil {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return o.Fault(err)
	}
	p.Add("config", s.Run)
	_, err = p.Serve(o.Server, rpc.ServerOptions{HandlerValidates: config.HandlerValidates()},
		func(r grpc.ServiceRegistrar) { s.Register(r) }, s.Tokens())
	if err != nil {
		return err
	}
	return p.Run(ctx)
}
