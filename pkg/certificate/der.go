package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
)

// The commands that convert what is not read. Each names its input FILE.
const (
	toPEM     = "convert it with: openssl x509 -inform DER -in FILE -out certificate.pem"
	fromPKCS7 = "convert it with: openssl pkcs7 -inform DER -in FILE -print_certs -out certificates.pem (without -inform DER if it is PEM)"
	fromP12   = "take the certificates out with: openssl pkcs12 -in FILE -nokeys -out certificates.pem"
	keyOfP12  = "take the key out with: openssl pkcs12 -in FILE -nocerts -nodes -out key.pem"
	noTrust   = "remove its trust settings with: openssl x509 -in FILE -clrtrust -clrreject -out certificate.pem"
)

// kind is what a block holds.
type kind int

const (
	kindUnknown kind = iota + 1
	kindCertificate
	kindTrusted
	kindPKCS7
	kindPKCS12
	kindKey
	kindEncryptedKey
	kindRequest
	kindCRL
	kindPublicKey
	kindKeystore
	// kindOther is a label that has nothing to do here.
	kindOther
)

// The object identifiers of RFC 5652 (4, 5.1).
const (
	oidData       = "1.2.840.113549.1.7.1"
	oidSignedData = "1.2.840.113549.1.7.2"
)

// isDER reports whether content is binary: a DER or BER SEQUENCE, or a Java keystore.
func isDER(content []byte) bool {
	if len(content) < 16 {
		return false
	}
	long := content[0] == 0x30 && content[1] >= 0x80 && content[1] <= 0x84
	return long || bytes.HasPrefix(content, []byte{0xfe, 0xed, 0xfe, 0xed})
}

// certificates reads what a block holds. First is the number of its first certificate, for errors.
func (b block) certificates(first int) ([]*x509.Certificate, error) {
	switch b.kind() {
	case kindCertificate, kindUnknown:
		return b.plainCertificates(first)
	case kindTrusted:
		return b.trusted(first)
	case kindPKCS7:
		return b.signedData(first)
	case kindPKCS12:
		return nil, errors.New("is a PKCS#12 file (.p12, .pfx), which may hold a private key: " + fromP12)
	case kindKey, kindEncryptedKey:
		return nil, fmt.Errorf("contains a PEM block %q%s: include only certificates, never a key; it was not stored",
			b.name("PRIVATE KEY"), b.where())
	case kindRequest:
		return nil, fmt.Errorf("contains a certificate signing request%s: upload the certificate that the authority has issued for it", b.where())
	case kindCRL:
		return nil, fmt.Errorf("contains a revocation list (CRL)%s: upload the certificate of the authority that issued it", b.where())
	case kindPublicKey:
		return nil, fmt.Errorf("contains a public key%s: upload the certificate that holds it", b.where())
	case kindKeystore:
		return nil, errors.New("is a Java keystore: take a certificate out with: keytool -exportcert -rfc -keystore FILE -alias ALIAS")
	case kindOther:
		return nil, fmt.Errorf("contains a PEM block %q%s: include only certificates", b.label, b.where())
	default:
		return nil, fmt.Errorf("contains a PEM block %q%s: include only certificates", b.label, b.where())
	}
}

func (b block) name(otherwise string) string {
	if b.label == "" {
		return otherwise
	}
	return b.label
}

// kind tells what a block holds: its label, and where that says nothing or is wrong, its content.
func (b block) kind() kind {
	switch l := b.label; {
	case strings.HasPrefix(l, "ENCRYPTED ") || strings.HasSuffix(l, "PRIVATE KEY") && b.encrypted:
		return kindEncryptedKey
	case strings.HasSuffix(l, "PRIVATE KEY"):
		return kindKey
	case l == "TRUSTED CERTIFICATE":
		return kindTrusted
	case strings.HasSuffix(l, "CERTIFICATE REQUEST"):
		return kindRequest
	case strings.HasSuffix(l, "CRL"):
		return kindCRL
	case strings.HasSuffix(l, "PUBLIC KEY"):
		return kindPublicKey
	case l == "PKCS7", l == "CMS", strings.HasPrefix(l, "PKCS #7"):
		return kindPKCS7
	case l == "PKCS12":
		return kindPKCS12
	case l == "", l == "CERTIFICATE", l == "X509 CERTIFICATE", l == "X.509 CERTIFICATE":
		return sniff(b.der)
	default:
		return kindOther
	}
}

// sniff tells what DER holds.
func sniff(der []byte) kind {
	if bytes.HasPrefix(der, []byte{0xfe, 0xed, 0xfe, 0xed}) {
		return kindKeystore
	}
	// Of indefinite length (BER), which certificates and keys never have.
	if bytes.HasPrefix(der, []byte{0x30, 0x80, 0x02, 0x01, 0x03}) {
		return kindPKCS12
	} else if bytes.HasPrefix(der, []byte{0x30, 0x80}) {
		return kindPKCS7
	}
	var content struct {
		Type asn1.ObjectIdentifier
		Rest asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &content); err == nil && (content.Type.String() == oidSignedData || content.Type.String() == oidData) {
		return kindPKCS7
	}
	var store struct {
		Version int
		Safe    struct {
			Type asn1.ObjectIdentifier
			Rest asn1.RawValue `asn1:"optional"`
		}
		MAC asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &store)
	if safe := store.Safe.Type.String(); err == nil && (safe == oidData || safe == oidSignedData) {
		return kindPKCS12
	}
	if isKey(der) {
		return kindKey
	}
	var sealed struct {
		Algorithm struct {
			ID         asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Data []byte
	}
	if _, err := asn1.Unmarshal(der, &sealed); err == nil {
		return kindEncryptedKey
	}
	if _, err := x509.ParseCertificateRequest(der); err == nil {
		return kindRequest
	}
	if _, err := x509.ParseRevocationList(der); err == nil {
		return kindCRL
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return kindPublicKey
	}
	return kindUnknown
}

// plainCertificates reads certificates in DER, one after another: a file may hold several.
func (b block) plainCertificates(first int) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := b.der; len(rest) > 0; {
		var value asn1.RawValue
		after, err := asn1.Unmarshal(rest, &value)
		if err != nil {
			return nil, fmt.Errorf("has certificate %d%s cut off or changed: copy the whole file", first+len(out), b.where())
		}
		c, err := parseOne(value.FullBytes, first+len(out), b.where())
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		if rest = after; b.label == "" {
			rest = bytes.TrimLeft(rest, "\r\n\x00 ")
		}
	}
	return out, nil
}

// parseOne reads one certificate.
func parseOne(der []byte, number int, where string) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	switch {
	case err == nil:
		return c, nil
	case strings.Contains(err.Error(), "negative serial"):
		return nil, fmt.Errorf("has certificate %d%s with a negative serial number, which RFC 5280 (4.1.2.2) forbids: have it issued again, or "+
			"start Outbound with the environment variable GODEBUG=x509negativeserial=1", number, where)
	default:
		return nil, fmt.Errorf("certificate %d%s is not valid: %s", number, where, strings.TrimPrefix(err.Error(), "x509: "))
	}
}

// trusted reads the form of OpenSSL that has trust settings behind the certificate (x509_aux.c). Settings that refuse TLS servers are
// not passed over.
func (b block) trusted(first int) ([]*x509.Certificate, error) {
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(b.der, &value)
	if err != nil {
		return nil, fmt.Errorf("has certificate %d%s cut off or changed: copy the whole file", first, b.where())
	}
	if len(rest) > 0 {
		var aux struct {
			Trust  []asn1.ObjectIdentifier `asn1:"optional"`
			Reject []asn1.ObjectIdentifier `asn1:"optional,tag:0"`
			Alias  string                  `asn1:"optional,utf8"`
			KeyID  []byte                  `asn1:"optional"`
			Other  asn1.RawValue           `asn1:"optional,tag:1"`
		}
		if _, err := asn1.Unmarshal(rest, &aux); err != nil {
			return nil, fmt.Errorf("has certificate %d%s with trust settings that can't be read: %s", first, b.where(), noTrust)
		}
		if len(aux.Reject) > 0 || len(aux.Trust) > 0 && !forServers(aux.Trust) {
			return nil, fmt.Errorf("has certificate %d%s with trust settings of OpenSSL that reject it for TLS servers: if you trust it, %s",
				first, b.where(), noTrust)
		}
	}
	c, err := parseOne(value.FullBytes, first, b.where())
	if err != nil {
		return nil, err
	}
	return []*x509.Certificate{c}, nil
}

// forServers reports whether purposes include serverAuth or any (RFC 5280, 4.2.1.12).
func forServers(purposes []asn1.ObjectIdentifier) bool {
	for _, p := range purposes {
		if p.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}) || p.Equal(asn1.ObjectIdentifier{2, 5, 29, 37, 0}) {
			return true
		}
	}
	return false
}

// signedData reads the certificates of PKCS#7 (RFC 5652, 5.1) in DER.
func (b block) signedData(first int) ([]*x509.Certificate, error) {
	var content struct {
		Type asn1.ObjectIdentifier
		Data struct {
			Version      int
			Digests      asn1.RawValue
			Content      asn1.RawValue
			Certificates asn1.RawValue `asn1:"optional,tag:0"`
			CRLs         asn1.RawValue `asn1:"optional,tag:1"`
			Signers      asn1.RawValue `asn1:"optional"`
		} `asn1:"explicit,tag:0"`
	}
	rest, err := asn1.Unmarshal(b.der, &content)
	if err != nil || content.Type.String() != oidSignedData || len(bytes.Trim(rest, "\r\n\x00 ")) > 0 {
		return nil, fmt.Errorf("is PKCS#7%s in a form that can't be read: %s", b.where(), fromPKCS7)
	}
	inner := block{line: b.line, der: content.Data.Certificates.Bytes}
	if len(inner.der) == 0 {
		return nil, fmt.Errorf("is PKCS#7%s without a certificate", b.where())
	}
	return inner.plainCertificates(first)
}
