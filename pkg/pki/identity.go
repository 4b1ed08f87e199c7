package pki

import (
	"crypto/x509"
	"net/url"
	"strings"
)

// trustDomain is that of the identities: spiffe://outbound/<service> (SPIFFE ID, section 2).
const trustDomain = "outbound"

// identityURI is the URI name of a service.
func identityURI(service string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: trustDomain, Path: "/" + service}
}

// commonName is how a certificate calls a service for those who read it. It proves nothing.
func commonName(service string) string { return trustDomain + "/" + service }

// Identity is the service that a certificate is of: `http-sender` for the URI name spiffe://outbound/http-sender. ok is false for a
// certificate without such a name or with several: it is of no service. Whether the certificate is trusted is for others to say.
func Identity(c *x509.Certificate) (service string, ok bool) {
	for _, u := range c.URIs {
		if u.Scheme != "spiffe" || u.Host != trustDomain {
			continue
		}
		name := strings.TrimPrefix(u.Path, "/")
		if ok || name == "" || strings.Contains(name, "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return "", false
		}
		service, ok = name, true
	}
	return service, ok
}
