package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/services/allinone"
	"github.com/outbound-events/outbound/services/cli"
)

// runCommand makes `outbound run`.
func runCommand() *cobra.Command {
	var flags allinone.Options
	var file string
	c := &cobra.Command{
		Use:   "run",
		Short: "Run all services and an embedded broker in one process",
		Long: `Run all services and an embedded broker in one process.

The first start creates DIR/admin.token. Once the server accepts events, DIR/endpoints.json holds its addresses.
Options are read from the file, then from the environment (e.g. OUTBOUND_URL_POLICY for urlPolicy), then from flags.`,
		Example: "  outbound run --data ./data\n  outbound run --data ./data --url-policy any --allow-egress 10.0.0.0/8",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := load(cmd.Flags(), flags, file)
			if err != nil {
				return usage{err}
			}
			s, err := allinone.New(o)
			if err != nil {
				return usage{err}
			}
			return runAll(cmd.Context(), s, cmd.OutOrStdout())
		},
	}
	d := allinone.DefaultOptions()
	f := c.Flags()
	f.StringVar(&flags.Data, "data", d.Data, "data directory; created if it does not exist")
	f.StringVar(&flags.HTTP, "http", d.HTTP, "listen address of the REST API and the console; port 0 picks a free port")
	f.StringVar(&flags.GRPC, "grpc", d.GRPC, "listen address of the gRPC API; port 0 picks a free port")
	f.StringVar(&flags.NATS, "nats", d.NATS, "listen address for appliances (NATS); port 0 picks a free port")
	f.StringVar(&flags.Telemetry.Metrics, "metrics", "", "separate listen address of /metrics; empty: beside the REST API, on loopback only")
	f.StringVar(&file, "options", os.Getenv("OUTBOUND_OPTIONS"), "options file (YAML)")
	f.StringVar((*string)(&flags.URLPolicy), "url-policy", string(d.URLPolicy), "URLs allowed for HTTP recipients: https, https-443 or any")
	f.StringArrayVar(&flags.AllowEgress, "allow-egress", nil,
		"additional address range (CIDR) that the HTTP sender may connect to; may be repeated")
	f.StringVar((*string)(&flags.Sync), "sync", string(d.Sync), "when accepted events are synced to disk: always or interval")
	return c
}

// load joins file, environment and flags, each over the one before.
func load(set *pflag.FlagSet, flags allinone.Options, file string) (allinone.Options, error) {
	o := unchecked{allinone.DefaultOptions()}
	if err := process.Load(&o, process.Source{File: file, Env: os.Environ()}); err != nil {
		return o.Options, err
	}
	for name, put := range map[string]func(){
		"data":         func() { o.Data = flags.Data },
		"http":         func() { o.HTTP = flags.HTTP },
		"grpc":         func() { o.GRPC = flags.GRPC },
		"nats":         func() { o.NATS = flags.NATS },
		"url-policy":   func() { o.URLPolicy = flags.URLPolicy },
		"allow-egress": func() { o.AllowEgress = flags.AllowEgress },
		"sync":         func() { o.Sync = flags.Sync },
		"metrics":      func() { o.Telemetry.Metrics = flags.Telemetry.Metrics },
	} {
		if set.Changed(name) {
			put()
		}
	}
	return o.Options, o.Options.Validate()
}

// unchecked are options that flags may still mend, so that they are held against the rules afterwards.
type unchecked struct {
	allinone.Options `yaml:",inline"`
}

// Validate finds nothing yet.
func (*unchecked) Validate() error { return nil }

// runAll runs until the context ends, and shows the one-time link of a first start. An end by signal is no error.
func runAll(ctx context.Context, s *allinone.Service, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() {
		select {
		case link := <-s.FirstStart():
			fmt.Fprintf(out, "\nThere are no users yet. Create the first admin here (the link works once, until Outbound stops):\n  %s\n\n", link)
		case <-ctx.Done():
		}
	})
	err := s.Run(ctx)
	cancel()
	telling.Wait()
	var wrong *process.UsageError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &wrong):
		return usage{err}
	default:
		return err
	}
}

// usage is a mistake in what the process was started with.
type usage struct{ error }

// ExitCode is that of wrong usage.
func (usage) ExitCode() int { return cli.ExitUsage }
