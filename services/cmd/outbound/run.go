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
	addRunFlags(c.Flags(), &flags, &file)
	return c
}

func addRunFlags(f *pflag.FlagSet, flags *allinone.Options, file *string) {
	d := allinone.DefaultOptions()
	f.StringVar(&flags.Data, "data", d.Data, "data directory; created if it does not exist")
	f.StringVar(&flags.HTTP, "http", d.HTTP, "listen address of the REST API and the console; port 0 picks a free port")
	f.StringVar(&flags.GRPC, "grpc", d.GRPC, "listen address of the gRPC API; port 0 picks a free port")
	f.StringVar(&flags.NATS, "nats", d.NATS, "listen address for appliances (NATS); port 0 picks a free port")
	f.StringVar((*string)(&flags.TLS), "tls", string(d.TLS),
		"TLS of the three listeners: off, auto (a local authority in the data directory) or files")
	f.StringVar(&flags.TLSCert, "tls-cert", "", "certificate (PEM) for --tls files; read again when it changes")
	f.StringVar(&flags.TLSKey, "tls-key", "", "private key (PEM) of --tls-cert")
	f.StringArrayVar(&flags.TLSHosts, "tls-host", nil, "additional name or address that the certificate of --tls auto is for; may be repeated")
	f.BoolVar(&flags.Insecure, "insecure", false, "allow listeners without TLS that other hosts can reach")
	f.StringVar(file, "options", os.Getenv("OUTBOUND_OPTIONS"), "options file (YAML)")
	f.StringVar(&flags.Telemetry.Metrics, "metrics", "", "separate listen address of /metrics; empty: beside the REST API, on loopback only")
	f.StringVar((*string)(&flags.URLPolicy), "url-policy", string(d.URLPolicy), "URLs allowed for HTTP recipients: https, https-443 or any")
	f.StringArrayVar(&flags.AllowEgress, "allow-egress", nil,
		"additional address range (CIDR) that the HTTP sender may connect to; may be repeated")
	f.StringVar(&flags.SealKey, "seal-key", "", "where the key is kept that secrets are sealed with: file:PATH, env:NAME or\n"+
		"exec:PROGRAM ARGUMENTS; empty: DIR/seal.key, made by the first start")
	f.StringVar(&flags.JetStreamKey, "jetstream-key", "", "where the key is kept that the files of the embedded broker are encrypted with:\n"+
		"file:PATH, env:NAME or exec:PROGRAM ARGUMENTS; empty: they are not encrypted")
	f.StringVar((*string)(&flags.Sync), "sync", string(d.Sync), "when accepted events are synced to disk: always or interval")
}

// load joins file, environment and flags, each over the one before.
func load(set *pflag.FlagSet, flags allinone.Options, file string) (allinone.Options, error) {
	o := unchecked{allinone.DefaultOptions()}
	if err := process.Load(&o, process.Source{File: file, Env: os.Environ()}); err != nil {
		return o.Options, err
	}
	for name, put := range map[string]func(){
		"data":          func() { o.Data = flags.Data },
		"http":          func() { o.HTTP = flags.HTTP },
		"grpc":          func() { o.GRPC = flags.GRPC },
		"nats":          func() { o.NATS = flags.NATS },
		"tls":           func() { o.TLS = flags.TLS },
		"tls-cert":      func() { o.TLSCert = flags.TLSCert },
		"tls-key":       func() { o.TLSKey = flags.TLSKey },
		"tls-host":      func() { o.TLSHosts = flags.TLSHosts },
		"insecure":      func() { o.Insecure = flags.Insecure },
		"url-policy":    func() { o.URLPolicy = flags.URLPolicy },
		"allow-egress":  func() { o.AllowEgress = flags.AllowEgress },
		"seal-key":      func() { o.SealKey = flags.SealKey },
		"jetstream-key": func() { o.JetStreamKey = flags.JetStreamKey },
		"sync":          func() { o.Sync = flags.Sync },
		"metrics":       func() { o.Telemetry.Metrics = flags.Telemetry.Metrics },
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
			fmt.Fprintf(out, "\nThere are no users yet. Create the first admin here (the link works once, for an hour; a restart makes a "+
				"new one):\n  %s\n\n", link)
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
