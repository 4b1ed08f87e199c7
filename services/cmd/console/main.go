// Console serves HTTP: the REST API of all services, its OpenAPI document, and the web console. REST callers are
// authenticated by their own tokens; for users of the console it calls the services with the service token.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/internal/setup"
)

type options struct {
	setup.Front  `yaml:",inline"`
	setup.Client `yaml:",inline"`
	// Ingest is where the ingest service answers gRPC, host:port.
	Ingest string `yaml:"ingest"`
	// History is where the history service answers gRPC, host:port.
	History string `yaml:"history"`
	// ServiceTokenFile holds the token that services know each other by. Without it people sign in with tokens alone.
	ServiceTokenFile string `yaml:"serviceTokenFile"`
	// Redis keeps who is signed in, for all consoles that share it. Without an address this process does, until it stops.
	Redis   throttle.RedisOptions `yaml:"redis"`
	Service console.Options       `yaml:",inline"`
}

// Validate reports every fault at once.
func (o *options) Validate() error {
	var f process.Faults
	f.Within("", setup.Validate(o.Service, o.Front, o.Client))
	if o.Ingest == "" {
		f.Add("ingest", "is missing: set it to the ingest service's address, e.g. 127.0.0.1:7072")
	}
	if o.History == "" {
		f.Add("history", "is missing: set it to the history service's address, e.g. 127.0.0.1:7073")
	}
	f.Within("redis", o.Redis.Validate())
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
	bare, err := reach(p, o, "")
	if err != nil {
		return err
	}
	deps := console.Deps{
		Config: bare.Config, Ingest: bare.Ingest, History: bare.History, Listener: p.TakeHTTP(), Ops: p.Ops(), Logger: p.Telemetry.Logger,
		Version: process.Version(), FirstStart: func(link string) {
			p.Telemetry.Logger.Warn("no users yet: create the first admin with this link, which works once, for an hour; "+
				"a restart makes a new one", logkey.Link, link)
		},
	}
	if o.ServiceTokenFile != "" {
		token, err := secret.LoadToken(o.ServiceTokenFile)
		if err != nil {
			return fmt.Errorf("serviceTokenFile: %w", err)
		}
		deps.ServiceToken = token
		if deps.Signed, err = reach(p, o, token); err != nil {
			return err
		}
	}
	if err := share(p, o.Redis, &deps); err != nil {
		return err
	}
	s, err := console.New(o.Service, deps)
	if err != nil {
		return err
	}
	p.Add("HTTP", s.Run)
	return p.Run(ctx)
}

// reach makes clients of the three services that send a token, or none.
func reach(p *setup.Process, o options, token string) (console.Neighbours, error) {
	var n console.Neighbours
	for to, target := range map[*grpc.ClientConnInterface]string{&n.Config: o.Config, &n.Ingest: o.Ingest, &n.History: o.History} {
		conn, err := rpc.Dial(target, token)
		if err != nil {
			return n, err
		}
		p.Defer(func() { _ = conn.Close() })
		*to = conn
	}
	return n, nil
}

// share has sessions and attempts kept in Redis, if there is one.
func share(p *setup.Process, o throttle.RedisOptions, deps *console.Deps) error {
	if o.Address == "" {
		return nil
	}
	sessions, err := session.NewRedis(o)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	p.Defer(func() { _ = sessions.Close() })
	limiter, err := throttle.NewRedis(o, p.Telemetry.Logger)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	p.Defer(func() { _ = limiter.Close() })
	deps.Store, deps.Limiter = sessions, limiter
	return nil
}
