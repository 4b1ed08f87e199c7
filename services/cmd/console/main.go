// Console serves HTTP: the REST API of all services, its OpenAPI document, and the web console. REST callers are
// authenticated by their own tokens; for users of the console it calls the services with the service token.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/process"
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
	// ConsoleTokenFile holds the console's own token, which goes before the service token. Neither is needed with a certificate (tls).
	ConsoleTokenFile string `yaml:"consoleTokenFile"`
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
	bare, err := reach(o, p.DialBare)
	if err != nil {
		return err
	}
	deps := console.Deps{
		Config: bare.Config, Ingest: bare.Ingest, History: bare.History, Listener: p.TakeHTTP(), TLS: p.Secure(), Ops: p.Ops(),
		Logger: p.Telemetry.Logger, Version: process.Version(), FirstStart: func(link string) {
			p.Telemetry.Logger.Warn("no users yet: create the first admin with this link, which works once, for an hour; "+
				"a restart makes a new one", logkey.Link, link)
		},
	}
	token, signs, err := ownToken(p, o)
	if err != nil {
		return err
	}
	if signs {
		deps.Signed, err = reach(o, func(target, service string) (*grpc.ClientConn, error) { return p.Dial(target, service, token) })
		if err != nil {
			return err
		}
		deps.ServiceToken = token
		if token == "" && o.ConsoleTokenFile != "" { // REST requests are forwarded without the certificate
			if deps.ServiceToken, err = secret.LoadToken(o.ConsoleTokenFile); err != nil {
				return fmt.Errorf("consoleTokenFile: %w", err)
			}
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

// ownToken is what the console signs in to other services with. With a certificate that is no token.
func ownToken(p *setup.Process, o options) (token string, signs bool, err error) {
	switch {
	case p.Proves():
		return "", true, nil
	case o.ConsoleTokenFile != "":
		if token, err = secret.LoadToken(o.ConsoleTokenFile); err != nil {
			return "", false, fmt.Errorf("consoleTokenFile: %w", err)
		}
	case o.ServiceTokenFile != "":
		if token, err = secret.LoadToken(o.ServiceTokenFile); err != nil {
			return "", false, fmt.Errorf("serviceTokenFile: %w", err)
		}
	default:
		return "", false, nil
	}
	return token, true, nil
}

// reach makes clients of the three services.
func reach(o options, dial func(target, service string) (*grpc.ClientConn, error)) (console.Neighbours, error) {
	var n console.Neighbours
	for _, x := range []struct {
		to              *grpc.ClientConnInterface
		target, service string
	}{{&n.Config, o.Config, pki.ServiceConfig}, {&n.Ingest, o.Ingest, pki.ServiceIngest}, {&n.History, o.History, pki.ServiceHistory}} {
		conn, err := dial(x.target, x.service)
		if err != nil {
			return n, err
		}
		*x.to = conn
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
