package trust_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/trust"
)

// selfSigned is a certificate for example.com that change may alter.
func selfSigned(t *testing.T, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	return certtest.SelfSigned(t, func(c *x509.Certificate) {
		c.DNSNames = []string{"example.com"}
		change(c)
	}).Cert
}

func TestPinned(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		change         func(*x509.Certificate)
		host           string
		pinned, offers bool
	}{
		"no CA":         {func(*x509.Certificate) {}, "example.com", true, true},
		"a CA":          {func(c *x509.Certificate) { c.IsCA = true }, "example.com", true, true},
		"no name":       {func(c *x509.Certificate) { c.DNSNames = nil }, "example.com", true, true},
		"another host":  {func(*x509.Certificate) {}, "other.example.com", false, false},
		"expired":       {func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }, "example.com", false, false},
		"not valid yet": {func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }, "example.com", false, false},
	} {
		leaf := selfSigned(t, c.change)
		chain := []*x509.Certificate{leaf}
		pinned, err := trust.Of(selfSigned(t, func(*x509.Certificate) {}), leaf).Verify(chain, c.host, now)
		if !pinned || (err == nil) != c.pinned {
			t.Errorf("%s: pinned %v: %v", name, pinned, err)
		}
		_, err = trust.Of(selfSigned(t, c.change)).Verify(chain, c.host, now)
		if err == nil {
			t.Errorf("%s: trusted by a certificate of the same name", name)
		}
		if offered := trust.ToPin(chain, c.host, err, now); (offered == leaf) != c.offers {
			t.Errorf("%s: offers %v", name, offered)
		}
		if text := certificate.Encode(chain); (trust.Check(text, now) == nil) == (name == "expired") {
			t.Errorf("%s: the check of an upload says %v", name, trust.Check(text, now))
		}
	}
	if _, err := trust.Of().Verify(nil, "example.com", now); err == nil {
		t.Error("no certificate at all is trusted")
	}
}

func TestFailedHandshakesAreNamed(t *testing.T) {
	p := trust.Peer{Host: "example.com", Name: "receiver", CAField: "CA", LegacyField: "LEGACY", SmallField: "SMALL"}
	for _, c := range []struct {
		err     string
		words   string
		unclear bool
	}{
		{"tls: failed to parse certificate from server: x509: negative serial number", "GODEBUG=x509negativeserial=1", false},
		{"tls: failed to parse certificate from server: x509: malformed validity", "can't be read (x509: malformed validity)", false},
		{"remote error: tls: handshake failure", "LEGACY", true},
		{"remote error: tls: protocol version not supported", "enable TLS 1.2", true},
		{"remote error: tls: unrecognized name", "example.com", false},
		{"remote error: tls: error decoding message", "SMALL", true},
		{"tls: server sent certificate containing RSA key larger than 8192 bits", "more than 8192 bits", false},
		{"tls: server selected unsupported signature algorithm", "SHA-1", false},
		{"something else", "", false},
	} {
		err := fmt.Errorf("handshake: %w", errors.New(c.err))
		if got := p.Explain(err); !strings.Contains(got, c.words) || (got == "") != (c.words == "") {
			t.Errorf("%s: said %q", c.err, got)
		}
		if trust.Unclear(err) != c.unclear {
			t.Errorf("%s: unclear is %v", c.err, !c.unclear)
		}
	}
	if got := p.Explain(io.EOF); !strings.Contains(got, "closed the connection") || !trust.Unclear(io.EOF) {
		t.Errorf("a cut: %q", got)
	}
}
