package audits

import (
	"net"
	"net/url"
	"slices"

	"github.com/outbound-events/outbound/pkg/process"
)

// Options say where entries are sent on to. Nothing is sent by default.
type Options struct {
	// Syslog is a server that takes messages of RFC 5424.
	Syslog SyslogOptions `yaml:"syslog"`
	// Webhook is an HTTP receiver.
	Webhook WebhookOptions `yaml:"webhook"`
}

// SyslogOptions say where a syslog server is.
type SyslogOptions struct {
	// Address is host:port; empty: nothing is sent.
	Address string `yaml:"address"`
	// Network is udp, tcp or tls. Default tls.
	Network string `yaml:"network"`
	// CAFile holds the certificates that the server's is checked with (PEM). Default: the system's.
	CAFile string `yaml:"caFile"`
	// Facility is its number, 0 to 23 (RFC 5424, 6.2.1). Default 13, log audit.
	Facility int `yaml:"facility"`
}

// WebhookOptions say where an HTTP receiver is.
type WebhookOptions struct {
	// URL is where entries are posted, one by one; empty: nothing is sent.
	URL string `yaml:"url"`
	// TokenFile holds the bearer token; empty: none.
	TokenFile string `yaml:"tokenFile"`
	// CAFile holds the certificates that the server's is checked with (PEM). Default: the system's.
	CAFile string `yaml:"caFile"`
}

// DefaultOptions sends nothing.
func DefaultOptions() Options {
	return Options{Syslog: SyslogOptions{Network: networkTLS, Facility: facilityAudit}}
}

const (
	networkUDP    = "udp"
	networkTCP    = "tcp"
	networkTLS    = "tls"
	facilityAudit = 13
	lastFacility  = 23
)

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.Syslog.Address != "" {
		if host, port, err := net.SplitHostPort(o.Syslog.Address); err != nil || host == "" || port == "" {
			f.Add("syslog.address", "%q is not host:port, e.g. syslog.example.com:6514", o.Syslog.Address)
		}
	}
	if !slices.Contains([]string{networkUDP, networkTCP, networkTLS}, o.Syslog.Network) {
		f.Add("syslog.network", "%q is none of udp, tcp, tls", o.Syslog.Network)
	}
	if o.Syslog.Facility < 0 || o.Syslog.Facility > lastFacility {
		f.Add("syslog.facility", "%d is out of range: use 0 to %d", o.Syslog.Facility, lastFacility)
	}
	if o.Webhook.URL != "" {
		if u, err := url.Parse(o.Webhook.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
			f.Add("webhook.url", "is not a URL without a password, e.g. https://siem.example.com/audit")
		}
	}
	return f.Err()
}
