package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Pair joins a chain, its leaf first, with the private key of the leaf. Its errors continue a sentence that begins with the name of the
// key's field, and tell nothing of the key.
func Pair(chain, key string) (tls.Certificate, error) {
	certificates, err := Parse(chain)
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := parseKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair([]byte(Encode(certificates)), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	switch {
	case err == nil:
		return pair, nil
	case strings.Contains(err.Error(), "does not match"):
		return tls.Certificate{}, errors.New("does not match the certificate")
	default:
		return tls.Certificate{}, errBadKey
	}
}

var errBadKey = errors.New("is not valid: use an RSA, ECDSA or ed25519 private key in PEM")

// parseKey reads the one private key of a text. Certificates and parameters beside it are passed over: they are public, and the
// chain is another field's.
func parseKey(text string) ([]byte, error) {
	blocks, err := split([]byte(text))
	if err != nil {
		return nil, errors.New(keyless(err))
	}
	var key []byte
	for _, b := range blocks {
		switch b.kind() {
		case kindEncryptedKey:
			return nil, errors.New("is protected by a passphrase: remove it (openssl pkey -in key.pem -out open.pem); Outbound stores the key " +
				"encrypted")
		case kindPKCS12:
			return nil, errors.New("is a PKCS#12 file (.p12, .pfx): " + keyOfP12)
		case kindKeystore:
			return nil, errors.New("is a Java keystore: convert it with: keytool -importkeystore -srckeystore FILE -destkeystore store.p12 " +
				"-deststoretype PKCS12, then " + keyOfP12)
		case kindKey:
			if strings.HasPrefix(b.label, "OPENSSH") {
				return nil, errors.New("is a key of OpenSSH: convert it with: ssh-keygen -p -m PKCS8 -f FILE")
			}
			if key != nil {
				return nil, errors.New("contains two private keys: keep the one of the certificate")
			}
			key = b.der
		case kindCertificate, kindTrusted, kindPKCS7, kindUnknown, kindRequest, kindCRL, kindPublicKey, kindOther:
		}
	}
	if key == nil {
		return nil, errors.New("contains no PEM private key: it must start with -----BEGIN PRIVATE KEY-----")
	}
	if !isKey(key) {
		return nil, errBadKey
	}
	return key, nil
}

// keyless is an error of split in the words of a key.
func keyless(err error) string {
	return strings.ReplaceAll(err.Error(), toPEM, "convert it with: openssl pkey -inform DER -in FILE -out key.pem")
}

// isKey reports whether DER is a private key in PKCS#8, PKCS#1 or SEC 1.
func isKey(der []byte) bool {
	if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return true
	}
	_, err := x509.ParseECPrivateKey(der)
	return err == nil
}

// Fingerprint returns a certificate's SHA-256 in the form of openssl: pairs of capital hexadecimal digits, joined by colons.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// Encode writes certificates as PEM.
func Encode(certificates []*x509.Certificate) string {
	var out strings.Builder
	for _, c := range certificates {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out.String()
}

// Text returns the content of a file as text that an API can carry: text as it is, UTF-16 as UTF-8, and a certificate or key in DER as
// PEM. Other binary content is an error that says how to convert it.
func Text(content []byte) (string, error) {
	if !isDER(content) {
		if text := wide(content); utf8.ValidString(text) && !strings.ContainsRune(text, 0) {
			return text, nil
		}
		return "", errors.New("is neither text nor a certificate in DER: " + toPEM)
	}
	b := block{der: content}
	if b.kind() == kindKey {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: content})), nil
	}
	if b.kind() == kindEncryptedKey {
		return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: content})), nil
	}
	certificates, err := b.certificates(1)
	if err != nil {
		return "", err
	}
	return Encode(certificates), nil
}
