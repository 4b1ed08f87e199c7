package harness

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
)

// authority is the certificate of the authority that make-secrets.sh has made.
func (e *servicesShape) authority() string { return filepath.Join(e.secrets, "tls", "ca", "ca.crt") }

// trusting verifies listeners by the authority; nil without TLS.
func (e *servicesShape) trusting(t T) *tls.Config {
	if !e.tls {
		return nil
	}
	text, err := os.ReadFile(e.authority())
	if err != nil {
		t.Fatalf("read the authority: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", e.authority())
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// scheme begins an address of nats or http.
func (e *servicesShape) scheme(of string) string {
	switch {
	case !e.tls:
		return of + "://"
	case of == "nats":
		return "tls://"
	default:
		return of + "s://"
	}
}

// certificate are the options by which a service proves who it is, and needs no token: of services only nats-config has one.
func (e *servicesShape) certificate(binary string) map[string]string {
	if !e.tls {
		return nil
	}
	dir := filepath.Join(e.secrets, "tls", binary)
	out := map[string]string{"TLS_CERT_FILE": filepath.Join(dir, "tls.crt"), "TLS_KEY_FILE": filepath.Join(dir, "tls.key"),
		"TLS_CA_FILE": filepath.Join(dir, "ca.crt")}
	if binary != "console" {
		out["NATS_CA_FILE"] = filepath.Join(dir, "ca.crt")
	}
	if binary != "config" && binary != "console" {
		out["SERVICE_TOKEN_FILE"] = ""
	}
	switch binary {
	case "config", "ingest", "history", "console":
		out["CONSOLE_TOKEN_FILE"] = ""
	}
	return out
}
