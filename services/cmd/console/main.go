// Console answers HTTP: REST for all of Outbound and its OpenAPI document. Callers are told apart by their own tokens.
package main

import (
	"context"
	"os"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/internal/setup"
)

type options struct {
	setup.Front  `yaml:",inline"`
	setup.Client `yaml:",inline"`
	// Ingest is where the ingest service answers gRPC, host:port.
	Ingest string `yaml:"ingest"`
	// History is where the history service answers gRPC, host:port.
	History string          `yaml:"history"`
	Service console.Options `yaml:",inline"`
}

// Validate reports every fault at once.
func (o *options) Validate() error {
	var f process.Faults
	f.Within("", setup.Validate(o.Service, o.Front, o.Client))
	if o.Ingest == "" {
		f.Add("ingest", "is missing: give the ingest service's address, e.g. 127.0.0.1:7072")
	}
	if o.History == "" {
		f.Add("history", "is missing: give the history service's address, e.g. 127.0.0.1:7073")
	}
	return f.Err()
}

func main() {
	o := options{Front: setup.DefaultFront(), Service: console.DefaultOptions()}
	os.Exit(process.Main("console", &o, func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	p, err := setup.OpenFront(ctx, "console", o.Front)
	if err != nil {
		return err
	}
	defer p.Close()
	conns := make([]*grpc.ClientConn, 0, 3)
	for _, target := range []string{o.Config, o.Ingest, o.History} {
		conn, err := rpc.Dial(target, "")
		if err != nil {
			return err
		}
		p.Defer(func() { _ = conn.Close() })
		conns = append(conns, conn)
	}
	s, err := console.New(o.Service, console.Deps{Config: conns[0], Ingest: conns[1], History: conns[2], Listener: p.TakeHTTP(), Ops: p.Ops()})
	if err != nil {
		return err
	}
	p.Add("HTTP", s.Run)
	return p.Run(ctx)
}
