// History serves intake decisions, deliveries and status, and runs retries and replays.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/history"
	"github.com/outbound-events/outbound/services/internal/setup"
)

type options struct {
	setup.Common `yaml:",inline"`
	setup.Server `yaml:",inline"`
	setup.Client `yaml:",inline"`
	Service      history.Options `yaml:",inline"`
}

// Validate reports every fault at once.
func (o *options) Validate() error { return setup.Validate(o.Service, o.Common, o.Server, o.Client) }

func main() {
	o := options{Common: setup.DefaultCommon(), Server: setup.DefaultServer(), Service: history.DefaultOptions()}
	os.Exit(process.Main("history", &o, func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	p, err := setup.Open(ctx, "history", o.Common)
	if err != nil {
		return err
	}
	defer p.Close()
	config, err := p.Config(o.Client, configclient.Options{Settings: true})
	if err != nil {
		return err
	}
	checkpoints, err := o.Service.CheckpointKeys()
	if err != nil {
		return err
	}
	log, publisher := deliverylog.New(p.Bus), bus.NewPublisher(p.Bus)
	p.Defer(log.Close)
	p.Defer(publisher.Close)
	s, err := history.New(o.Service, history.Deps{Bus: p.Bus, Log: log, Publisher: publisher, Config: config,
		Broker: history.ExternalBroker, Version: process.Version(), Telemetry: p.Telemetry, Logger: p.Telemetry.Logger,
		Checkpoints: checkpoints})
	if err != nil {
		return err
	}
	if _, err := p.Serve(o.Server, rpc.ServerOptions{}, func(r grpc.ServiceRegistrar) { s.Register(r) },
		configclient.NewTokens(config, p.Bus.Now)); err != nil {
		return err
	}
	p.Add("history", s.Run)
	return p.Run(ctx)
}
