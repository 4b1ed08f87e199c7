// Package allinone runs all services in one process with the broker embedded: the same services as the separate processes,
// joined by in-process transports.
package allinone

import (
	"errors"
	"net"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc/quota"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/emailsender"
	"github.com/outbound-events/outbound/services/history"
	"github.com/outbound-events/outbound/services/httpsender"
	"github.com/outbound-events/outbound/services/ingest"
)

// Options are what the all-in-one is started with.
type Options struct {
	// Data is the folder of everything that is kept: streams, tokens, the key of secrets. Made if absent.
	Data string `yaml:"data"`
	// HTTP is where REST is answered, host:port. Port 0 picks one.
	HTTP string `yaml:"http"`
	// GRPC is where gRPC is answered, host:port. Port 0 picks one.
	GRPC string `yaml:"grpc"`
	// NATS is where appliances connect, host:port. Port 0 picks one.
	NATS string `yaml:"nats"`
	// NATSConnections is how many connections to NATS one appliance may have open, NATSSubscriptions how many subscriptions each of them.
	NATSConnections   int `yaml:"natsConnections"`
	NATSSubscriptions int `yaml:"natsSubscriptions"`
	// Connections bound the open connections of HTTP and of gRPC.
	Connections process.ConnectionLimits `yaml:",inline"`
	// Limits are how much of REST and gRPC one caller may use.
	Limits quota.Options `yaml:"limits"`
	// TLS says where the certificate of these listeners comes from: off, auto (a local authority in the data folder) or files.
	TLS TLS `yaml:"tls"`
	// TLSCert and TLSKey are the files with TLSFiles.
	TLSCert string `yaml:"tlsCert"`
	TLSKey  string `yaml:"tlsKey"`
	// TLSHosts are names and addresses that the certificate is for with TLSAuto, beside those of this host.
	TLSHosts []string `yaml:"tlsHosts"`
	// Insecure allows listeners in plain text that other hosts can reach.
	Insecure bool `yaml:"insecure"`
	// URLPolicy says which URLs HTTP recipients may have: https, https-443 or any.
	URLPolicy recipient.URLPolicy `yaml:"urlPolicy"`
	// AllowEgress opens address prefixes (CIDR) to the HTTP sender beside public addresses.
	AllowEgress []string `yaml:"allowEgress"`
	// SealKey is where the key is kept that secrets are sealed with: `file:PATH`, `env:NAME` or `exec:PROGRAM ARGUMENTS`. Empty: seal.key in
	// the data folder, which the first start makes.
	SealKey string `yaml:"sealKey"`
	// JetStreamKey is where the key is kept that the files of the embedded broker are encrypted with: `file:PATH`, `env:NAME` or
	// `exec:PROGRAM ARGUMENTS`. Empty: they are not encrypted.
	JetStreamKey string `yaml:"jetstreamKey"`
	// Sync says when accepted events reach the disk: always (before they are answered) or interval (within two minutes).
	Sync Sync `yaml:"sync"`
	// Streams are the bounds of the streams.
	Streams bus.StreamOptions `yaml:"streams"`
	// Disk is how much space is kept free.
	Disk Disk `yaml:"disk"`
	// Telemetry configures logs, metrics and traces.
	Telemetry telemetry.Options `yaml:"telemetry"`

	// Ingest and the following are the options of the services. The options above apply to them as well.
	Ingest      ingest.Options      `yaml:"ingest"`
	Config      config.Options      `yaml:"config"`
	HTTPSender  httpsender.Options  `yaml:"httpSender"`
	EmailSender emailsender.Options `yaml:"emailSender"`
	History     history.Options     `yaml:"history"`
	Console     console.Options     `yaml:"console"`
}

// Sync says when what is stored reaches the disk.
type Sync string

// The ways to sync.
const (
	SyncAlways   Sync = "always"
	SyncInterval Sync = "interval"
)

// DefaultOptions listens on loopback, keeps its data under .data and syncs always.
func DefaultOptions() Options {
	return Options{
		Data: ".data", HTTP: "127.0.0.1:8080", GRPC: "127.0.0.1:7070", NATS: "127.0.0.1:4222", TLS: TLSOff,
		NATSConnections: 1000, NATSSubscriptions: 1000, Connections: process.DefaultConnectionLimits(), Limits: quota.DefaultOptions(),
		URLPolicy: recipient.HTTPSOnly, Sync: SyncAlways, Streams: bus.DefaultStreamOptions(), Telemetry: telemetry.DefaultOptions(),
		Ingest: ingest.DefaultOptions(), Config: config.DefaultOptions(), HTTPSender: httpsender.DefaultOptions(),
		EmailSender: emailsender.DefaultOptions(), History: history.DefaultOptions(), Console: console.DefaultOptions(),
	}
}

// Validate reports every fault at once.
func (o *Options) Validate() error {
	o.spread()
	var f process.Faults
	if o.Data == "" {
		f.Add("data (--data)", "is missing: set it to a directory")
	}
	for _, x := range o.listeners() {
		if err := checkAddress(x.address); err != nil {
			f.Add(x.path+" (--"+x.path+")", "%v", err)
		}
	}
	o.checkTLS(&f)
	// These options apply to several services; errors name them once, so the services are checked without a faulty one.
	settings, sender, streams := o.Config, o.HTTPSender, o.Streams
	if _, err := recipient.ParseURLPolicy(string(o.URLPolicy)); err != nil {
		f.Add("urlPolicy (--url-policy)", "%v", err)
		settings.URLPolicy, sender.URLPolicy = string(recipient.HTTPSOnly), recipient.HTTPSOnly
	}
	for _, prefix := range o.AllowEgress {
		_, err := egress.NewGuard([]string{prefix}, nil)
		f.Within("allowEgress (--allow-egress)", err)
	}
	settings.AllowEgress, sender.AllowEgress = nil, nil
	if o.Sync != SyncAlways && o.Sync != SyncInterval {
		f.Add("sync (--sync)", "%q is not known: use always or interval", o.Sync)
	}
	if o.Streams.Replicas > 1 {
		f.Add("streams.replicas", "is %d: the embedded broker is one server, so use 1", o.Streams.Replicas)
		streams.Replicas = 1
	}
	o.validateLimits(&f)
	_, err := secret.ParsePlace(o.SealKey)
	f.Within("sealKey (--seal-key)", err)
	_, err = secret.ParsePlace(o.JetStreamKey)
	f.Within("jetstreamKey (--jetstream-key)", err)
	f.Within("streams", streams.Validate())
	f.Within("telemetry", o.Telemetry.Validate())
	f.Within("ingest", o.Ingest.Validate())
	f.Within("config", settings.Validate())
	f.Within("httpSender", sender.Validate())
	f.Within("emailSender", o.EmailSender.Validate())
	f.Within("history", o.History.Validate())
	f.Within("console", o.Console.Validate())
	return f.Err()
}

func (o *Options) validateLimits(f *process.Faults) {
	f.Within("", o.Connections.Validate())
	f.Within("limits", o.Limits.Validate())
	const most = 1_000_000
	for name, n := range map[string]int{"natsConnections": o.NATSConnections, "natsSubscriptions": o.NATSSubscriptions} {
		if n < 1 || n > most {
			f.Add(name, "%d is out of range: use 1 to %d", n, most)
		}
	}
}

// spread gives the services what is set once for all of them.
func (o *Options) spread() {
	o.Config.URLPolicy = string(o.URLPolicy)
	o.HTTPSender.URLPolicy = o.URLPolicy
	o.HTTPSender.AllowEgress = o.AllowEgress
	o.Config.AllowEgress, o.Config.Proxied = o.AllowEgress, o.HTTPSender.Proxy.URL != ""
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.TrimSpace(port) == "" {
		return errors.New("must be host:port, e.g. 127.0.0.1:8080; port 0 picks one")
	}
	return nil
}
