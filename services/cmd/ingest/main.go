// Ingest takes events in from appliances, over NATS and HTTP, and answers once they are stored for good.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/eventhttp"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/ingest"
	"github.com/outbound-events/outbound/services/internal/setup"
)

type options struct {
	setup.Common `yaml:",inline"`
	setup.Server `yaml:",inline"`
	setup.Client `yaml:",inline"`
	// Accounts have the process tell a broker in operator mode which appliances may sign in.
	Accounts setup.SignIn   `yaml:"brokerAccounts"`
	Service  ingest.Options `yaml:",inline"`
}

// Validate reports every fault at once.
func (o *options) Validate() error { return setup.Validate(o.Service, o.Common, o.Server, o.Client) }

func main() {
	o := options{Common: setup.DefaultCommon(), Server: setup.DefaultServer(), Service: ingest.DefaultOptions()}
	os.Exit(process.Main("ingest", &o, func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	p, err := setup.Open(ctx, "ingest", o.Common)
	if err != nil {
		return err
	}
	defer p.Close()
	config, err := p.Config(o.Client, configclient.Options{NoRecipients: true, Settings: true})
	if err != nil {
		return err
	}
	s, err := ingest.New(o.Service, ingest.Deps{Bus: p.Bus, Config: config, Observer: telemetry.NewIntakeObserver(p.Telemetry.Registry),
		Logger: p.Telemetry.Logger, Version: process.Version(), Store: p.Store(nil).Err, Notices: p.Notices})
	if err != nil {
		return err
	}
	if err := p.AnswerSignIns(ctx, o.Accounts, config); err != nil {
		return fmt.Errorf("brokerAccounts: %w", err)
	}
	p.Check("intake", s.Ready)
	p.Add("intake", s.Run)
	conn, err := p.Serve(o.Server, rpc.ServerOptions{}, func(r grpc.ServiceRegistrar) { s.Register(r) }, ingest.NewApplianceTokens(config),
		configclient.NewTokens(config, p.Bus.Now))
	if err != nil {
		return err
	}
	mux, listener := http.NewServeMux(), p.TakeHTTP()
	p.Ops().Register(mux)
	mux.Handle(eventhttp.Pattern, eventhttp.New(outboundv1.NewEventServiceClient(conn)))
	p.Add("HTTP", func(ctx context.Context) error { return process.ServeHTTP(ctx, listener, mux) })
	return p.Run(ctx)
}
