// Http-sender sends events to HTTP recipients. Any number of them may run beside each other.
package main

import (
	"context"
	"os"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/deliverytelemetry"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/services/httpsender"
	"github.com/outbound-events/outbound/services/internal/setup"
)

type options struct {
	setup.Common `yaml:",inline"`
	setup.Client `yaml:",inline"`
	setup.Sealed `yaml:",inline"`
	// Redis keeps the rate limits that senders share. Without an address each sender keeps them alone.
	Redis   throttle.RedisOptions `yaml:"redis"`
	Service httpsender.Options    `yaml:",inline"`
}

// Validate reports every fault at once.
func (o *options) Validate() error {
	var f process.Faults
	f.Within("", setup.Validate(o.Service, o.Common, o.Client, o.Sealed))
	f.Within("redis", o.Redis.Validate())
	return f.Err()
}

func main() {
	o := options{Common: setup.DefaultCommon(), Service: httpsender.DefaultOptions()}
	os.Exit(process.Main("http-sender", &o, func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	p, err := setup.Open(ctx, "http-sender", o.Common)
	if err != nil {
		return err
	}
	defer p.Close()
	sealer, err := p.Sealer(o.Sealed)
	if err != nil {
		return err
	}
	config, err := p.Config(o.Client, configclient.Options{Channel: recipient.HTTP, Settings: true, Bookmarks: true, Sealer: sealer})
	if err != nil {
		return err
	}
	limiter, err := p.Limiter(o.Redis)
	if err != nil {
		return err
	}
	s, err := httpsender.New(o.Service, httpsender.Deps{Bus: p.Bus, Config: config, Observer: deliverytelemetry.New(p.Telemetry),
		Limiter: limiter, Version: process.Version(), Logger: p.Telemetry.Logger})
	if err != nil {
		return err
	}
	p.Add("sender", s.Run)
	return p.Run(ctx)
}
