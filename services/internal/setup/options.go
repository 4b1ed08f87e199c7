// Package setup opens the doors of a service that runs as a process of its own: telemetry, the broker, the config service,
// listeners. What each main does beside it is to make its one service.
package setup

import (
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc/quota"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Front are the options that every process has.
type Front struct {
	// Telemetry configures logs, metrics and traces.
	Telemetry telemetry.Options `yaml:"telemetry"`
	// HTTP is where the process answers /healthz, /readyz and /metrics (the console: REST too), host:port.
	HTTP string `yaml:"http"`
	// Connections bound the open connections of each listener.
	Connections process.ConnectionLimits `yaml:",inline"`
	// TLS names the files of the certificate that the listeners present and that the process proves to other services by who it is.
	TLS pki.Options `yaml:"tls"`
	// Insecure allows listeners in plain text that other hosts can reach.
	Insecure bool `yaml:"insecure"`
}

// DefaultFront answers on loopback, on any port.
func DefaultFront() Front {
	return Front{Telemetry: telemetry.DefaultOptions(), HTTP: "127.0.0.1:0", Connections: process.DefaultConnectionLimits()}
}

func (o Front) validate(f *process.Faults) {
	if o.HTTP == "" {
		f.Add("http", "is missing: set it to a listen address, e.g. 127.0.0.1:9090")
	}
	f.Within("telemetry", o.Telemetry.Validate())
	f.Within("", o.Connections.Validate())
	f.Within("tls", o.TLS.Validate())
	o.checkListen(f, "http", o.HTTP)
	metrics := process.Transport{Insecure: o.Insecure, Remedy: MetricsRemedy}
	if err := metrics.Check(o.Telemetry.Metrics); o.Telemetry.Metrics != "" && err != nil {
		f.Add("telemetry.metrics", "%v", err)
	}
}

// MetricsRemedy is what there is instead of a listener of metrics that other hosts can reach: that listener has no TLS.
const MetricsRemedy = "leave it out and set telemetry.metricsTokenFile, so that the HTTP listener answers /metrics with TLS"

// checkListen refuses an address that other hosts can reach in plain text.
func (o Front) checkListen(f *process.Faults, path, address string) {
	t := process.Transport{TLS: o.TLS.Serves(), Insecure: o.Insecure, Remedy: "set tls.certFile and tls.keyFile"}
	if err := t.Check(address); address != "" && err != nil {
		f.Add(path, "%v", err)
	}
}

// Common are the options of a process that works with the broker and with other services.
type Common struct {
	Front `yaml:",inline"`
	// NATS is the broker.
	NATS bus.Options `yaml:"nats"`
	// ServiceTokenFile holds the token that services know each other by. It is not needed where they do by their certificates.
	ServiceTokenFile string `yaml:"serviceTokenFile"`
}

// DefaultCommon has the broker on this host.
func DefaultCommon() Common {
	return Common{Front: DefaultFront(), NATS: bus.Options{URL: "nats://127.0.0.1:4222"}}
}

func (o Common) validate(f *process.Faults) {
	o.Front.validate(f)
	if o.NATS.URL == "" {
		f.Add("nats.url", "is missing: set it to the broker's address, e.g. nats://127.0.0.1:4222")
	}
	if o.NATS.CredsFile != "" && (o.NATS.User != "" || o.NATS.PasswordFile != "") {
		f.Add("nats.credsFile", "is set, and nats.user or nats.passwordFile too: set one way to sign in")
	}
	if o.ServiceTokenFile == "" && !o.TLS.Proves() {
		f.Add("serviceTokenFile", "is missing: set it to the file with the service token, or set tls.certFile, tls.keyFile and tls.caFile")
	}
}

// Server are the options of a process that answers gRPC.
type Server struct {
	// GRPC is where the process answers gRPC, host:port.
	GRPC string `yaml:"grpc"`
	// AdminTokenFile holds the token that people sign in with.
	AdminTokenFile string `yaml:"adminTokenFile"`
	// Limits are how much of the server its callers may use.
	Limits quota.Options `yaml:"limits"`
	// ConsoleTokenFile holds the console's own token. With it, or with tls.caFile, the service token does not act for users.
	ConsoleTokenFile string `yaml:"consoleTokenFile"`
}

// DefaultServer has the default limits.
func DefaultServer() Server { return Server{Limits: quota.DefaultOptions()} }

func (s Server) validate(f *process.Faults) {
	if s.GRPC == "" {
		f.Add("grpc", "is missing: set it to a listen address for gRPC, e.g. 127.0.0.1:7070")
	}
	if s.AdminTokenFile == "" {
		f.Add("adminTokenFile", "is missing: set it to the file with the admin token")
	}
	f.Within("limits", s.Limits.Validate())
}

// Client are the options of a process that learns the configuration from the config service.
type Client struct {
	// Config is where the config service answers gRPC, host:port.
	Config string `yaml:"config"`
}

func (c Client) validate(f *process.Faults) {
	if c.Config == "" {
		f.Add("config", "is missing: set it to the config service's address, e.g. 127.0.0.1:7071")
	}
}

// Sealed are the options of a process that opens secrets.
type Sealed struct {
	// SealKey is where the key is kept that secrets are sealed with: `file:PATH`, `env:NAME` or `exec:PROGRAM ARGUMENTS`.
	SealKey string `yaml:"sealKey"`
	// SealKeyFile is the file with that key, as `file:` of SealKey.
	SealKeyFile string `yaml:"sealKeyFile"`
}

func (s Sealed) validate(f *process.Faults) {
	switch {
	case s.SealKey != "" && s.SealKeyFile != "":
		f.Add("sealKey", "is %s, and sealKeyFile is %s: set one of them", s.SealKey, s.SealKeyFile)
	case s.SealKey == "" && s.SealKeyFile == "":
		f.Add("sealKeyFile", "is missing: set it to the file with the key that encrypts secrets, or set sealKey to where the key is kept")
	}
	_, err := secret.ParsePlace(s.SealKey)
	f.Within("sealKey", err)
}

// Fault is an error that has to do with the sealing key, with the option that names it.
func (s Sealed) Fault(err error) error {
	_, option := s.place()
	return fmt.Errorf("%s: %w", option, err)
}

// place is where the key is kept, and the option that says so.
func (s Sealed) place() (secret.Place, string) {
	if s.SealKeyFile != "" {
		return secret.FilePlace(s.SealKeyFile), "sealKeyFile"
	}
	p, _ := secret.ParsePlace(s.SealKey) // validated
	return p, "sealKey"
}

// part is a group of options that setup knows.
type part interface{ validate(*process.Faults) }

// Validate reports all errors of the parts, then those of the service's own options.
func Validate(own interface{ Validate() error }, parts ...part) error {
	var f process.Faults
	var front Front
	for _, p := range parts {
		p.validate(&f)
		switch p := p.(type) {
		case Common:
			front = p.Front
		case Server:
			front.checkListen(&f, "grpc", p.GRPC)
		}
	}
	f.Within("", own.Validate())
	return f.Err()
}
