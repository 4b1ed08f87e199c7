package trust

import (
	"crypto/tls"
	"slices"
	"strings"
)

// Compat are the concessions to one old peer. The zero value makes none.
type Compat struct {
	// LegacyTLS speaks TLS 1.2 alone, and allows its cipher suites without forward secrecy (RSA key exchange) and with CBC and SHA-256.
	LegacyTLS bool
	// SmallHello leaves post-quantum key exchange out, which makes the ClientHello fit into one packet.
	SmallHello bool
}

// Apply makes the concessions in a client's configuration.
func (p Compat) Apply(c *tls.Config) {
	if p.LegacyTLS {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, legacySuites()
	}
	if p.SmallHello {
		c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	}
}

// legacySuites are the default cipher suites of TLS 1.2, and those of old servers. RC4 and 3DES stay out: what speaks TLS 1.2 has AES.
func legacySuites() []uint16 {
	return slices.DeleteFunc(allSuites(), func(id uint16) bool { return hopeless(id) })
}

// hopeless reports whether a cipher suite is not allowed by any option.
func hopeless(id uint16) bool {
	name := tls.CipherSuiteName(id)
	return strings.Contains(name, "RC4") || strings.Contains(name, "3DES")
}

func allSuites() []uint16 {
	var out []uint16
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			out = append(out, s.ID)
		}
	}
	return out
}
