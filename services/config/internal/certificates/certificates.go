// Package certificates shows callers what uploaded certificates contain, and what to know of them.
package certificates

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/trust"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Describe returns what the certificates of a text contain, or nothing if it can't be read.
func Describe(text string) []*outboundv1.CertificateInfo {
	all, err := certificate.Parse(text)
	if err != nil {
		return nil
	}
	out := make([]*outboundv1.CertificateInfo, 0, len(all))
	for _, c := range all {
		names := append([]string(nil), c.DNSNames...)
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
		out = append(out, &outboundv1.CertificateInfo{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), FingerprintSha256: certificate.Fingerprint(c),
			SerialNumber:  c.SerialNumber.Text(16),
			NotBeforeTime: timestamppb.New(c.NotBefore), NotAfterTime: timestamppb.New(c.NotAfter), Names: names, Pinned: !trust.CanSign(c),
		})
	}
	return out
}

// Server are the settings by which a server is verified.
type Server struct {
	// Prefix stands before the names of the fields, `http.` for instance.
	Prefix                string
	CAPEM                 string
	LegacyTLS, SmallHello bool
}

// Warnings returns what an operator should know of valid settings, as sentences.
func (s Server) Warnings(now time.Time) []string {
	var out []string
	if s.CAPEM != "" {
		for _, w := range trust.Warnings(s.CAPEM, now) {
			out = append(out, s.Prefix+"caCertificatePem: "+w+".")
		}
	}
	if s.LegacyTLS {
		out = append(out, s.Prefix+"legacyTls is on: TLS 1.2 alone, and cipher suites without forward secrecy and with CBC are accepted.")
	}
	if s.SmallHello {
		out = append(out, s.Prefix+"smallClientHello is on: connections have no post-quantum key exchange.")
	}
	return out
}
