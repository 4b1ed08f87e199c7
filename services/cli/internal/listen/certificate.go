package listen

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// lifetime is how long the certificate of a receiver is valid. Its key is never stored.
const lifetime = 30 * 24 * time.Hour

// listenTLS listens with a certificate of its own, which the recipient trusts alone, so that the default URL policy, https, holds.
func listenTLS(address string) (l net.Listener, certificate string, err error) {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	if err != nil || ip == nil || ip.IsUnspecified() {
		return nil, "", exit.Usagef("--address %q is not an IP address and a port that the server can connect to: use e.g. 127.0.0.1:0", address)
	}
	l, err = net.Listen("tcp", address)
	if err != nil {
		return nil, "", fmt.Errorf("--address: %w", err)
	}
	own, encoded, err := certify(ip, time.Now())
	if err != nil {
		_ = l.Close()
		return nil, "", err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}}), encoded, nil
}

// certify makes a self-signed certificate for an address.
func certify(ip net.IP, now time.Time) (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "outbound listen"}, IPAddresses: []net.IP{ip},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}
