package wire

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/certificate"
)

// rootCAs is nats.RootCAs, which leaves out what it can't read of a file, with the parser of all other certificates. The file is read at
// each connection.
func rootCAs(file string) nats.Option {
	read := func() (*x509.CertPool, error) {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read nats.caFile: %w", err)
		}
		pool, err := certificate.Pool(string(b))
		if err != nil {
			return nil, fmt.Errorf("nats.caFile: %s %w", file, err)
		}
		return pool, nil
	}
	return func(o *nats.Options) error {
		if _, err := read(); err != nil {
			return err
		}
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.RootCAsCB, o.Secure = read, true
		return nil
	}
}
