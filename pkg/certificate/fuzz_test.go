package certificate_test

import (
	"bytes"
	"crypto/x509"
	"regexp"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/certtest"
)

// keyMaterial is a run of base64 that is too long to be a word.
var keyMaterial = regexp.MustCompile(`[A-Za-z0-9+/]{33,}`)

// FuzzParse reads certificates and keys of any text. What is read is written and read again as the same; no error repeats what may be a
// key, or is longer than a person reads.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "--BEGIN CERTIFICATE--",
		"0\x82\x01\x01", "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END PRIVATE KEY-----", "\xff\xfe-\x00-\x00",
		"# a comment\nMIIBAAAAAAAA", "-----BEGIN PKCS7-----\n\\nAAAA\\n-----END PKCS7-----"} {
		f.Add(s)
	}
	f.Add(valid(f))
	f.Fuzz(func(t *testing.T, text string) {
		found, err := certificate.Parse(text)
		checkError(t, text, err)
		if err == nil {
			again, err := certificate.Parse(certificate.Encode(found))
			if err != nil || len(again) != len(found) || len(found) == 0 {
				t.Fatalf("%d certificates are read again as %d: %v", len(found), len(again), err)
			}
			for i := range found {
				if !bytes.Equal(again[i].Raw, found[i].Raw) {
					t.Errorf("certificate %d is another when it is read again", i)
				}
			}
		}
		_, err = certificate.Pair(text, text)
		checkError(t, text, err)
		if plain, err := certificate.Text([]byte(text)); err == nil && !utf8.ValidString(plain) {
			t.Errorf("%q became %q, which is no text", text, plain)
		}
	})
}

// valid is a certificate and its key.
func valid(f *testing.F) string {
	f.Helper()
	p := certtest.SelfSigned(f, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(1<<33, 0) })
	return p.PEM + p.KeyPEM
}

func checkError(t *testing.T, text string, err error) {
	t.Helper()
	if err != nil && (err.Error() == "" || len(err.Error()) > 600 || keyMaterial.MatchString(err.Error()) || !utf8.ValidString(err.Error())) {
		t.Errorf("%q is refused with %q", text, err)
	}
}
