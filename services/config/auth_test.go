package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// canaryClient is a secret that must be found nowhere.
const canaryClient = "canary-client-74"

// certified makes a certificate that signs itself, and its key.
func certified(t *testing.T, key *ecdsa.PrivateKey, change func(*x509.Certificate)) (certificate, private string) {
	t.Helper()
	p := certtest.SelfSignedWith(t, key, func(c *x509.Certificate) {
		c.SerialNumber, c.Subject = big.NewInt(0xabc), pkix.Name{CommonName: "outbound", Organization: []string{"Example"}}
		c.NotAfter, c.BasicConstraintsValid = time.Now().Add(365*24*time.Hour), false
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if change != nil {
			change(c)
		}
	})
	return p.PEM, p.KeyPEM
}

func withCertificate(certificate, private string) *outboundv1.HttpAuth {
	return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_ClientCertificate{
		ClientCertificate: &outboundv1.ClientCertificate{CertificatePem: certificate, PrivateKeyPem: private},
	}}
}

func withOAuth2(k *outboundv1.OAuth2ClientCredentials) *outboundv1.HttpAuth {
	return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Oauth2{Oauth2: k}}
}

// setAuth replaces the auth of recipient r.
func (h *fixture) setAuth(a *outboundv1.HttpAuth) (*outboundv1.Recipient, error) {
	in := &outboundv1.Recipient{Id: "r", Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Auth: a}}}
	return h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: in, UpdateMask: mask("http.auth")})
}

func TestClientCertificateIsCheckedAtSave(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	key, other := newKey(t), newKey(t)
	good, private := certified(t, key, nil)
	_, otherPrivate := certified(t, other, nil)
	ended, _ := certified(t, key, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	server, _ := certified(t, key, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	const field = "http.auth.clientCertificate."
	for name, c := range map[string]struct{ certificate, private, fault, says string }{
		"no certificate":         {"", private, "certificatePem", "contains no PEM"},
		"garbage":                {"garbage", private, "certificatePem", "contains no PEM"},
		"a key in its place":     {private, private, "certificatePem", "never a key"},
		"expired":                {ended, private, "certificatePem", "expired on"},
		"for servers alone":      {server, private, "certificatePem", "clientAuth"},
		"not in order":           {good + server, private, "certificatePem", "did not sign the previous one"},
		"no key":                 {good, "", "privateKeyPem", "is empty"},
		"key of another":         {good, otherPrivate, "privateKeyPem", "does not match the certificate"},
		"garbage for a key":      {good, "garbage", "privateKeyPem", "contains no PEM"},
		"key under a passphrase": {good, strings.ReplaceAll(private, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "privateKeyPem", "passphrase"},
	} {
		_, err := h.setAuth(withCertificate(c.certificate, c.private))
		wantFields(t, err, field+c.fault)
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	r, err := h.setAuth(withCertificate(good, private))
	if err != nil {
		t.Fatal(err)
	}
	if k := r.GetHttp().GetAuth().GetClientCertificate(); k.GetPrivateKeyPem() != "" || !k.GetPrivateKeySet() ||
		k.GetCertificatePem() != good {
		t.Errorf("answered %v", k)
	}
	if got := h.opened(h.stored("r"), credential.SecretClientKey); got != private {
		t.Error("the stored key is another")
	}
	// Renewed with its key, a certificate needs no other; with another key it does.
	renewed, _ := certified(t, key, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * 24 * time.Hour) })
	r, err = h.setAuth(withCertificate(renewed, ""))
	if err != nil || !slices.ContainsFunc(r.GetWarnings(),
		func(w string) bool { return strings.Contains(w, "clientCertificate expires on") }) {
		t.Errorf("renewed: %v, warned of %q", err, r.GetWarnings())
	}
	foreign, _ := certified(t, other, nil)
	_, err = h.setAuth(withCertificate(foreign, ""))
	wantFields(t, err, field+"privateKeyPem")
}

func TestOAuth2IsCheckedAtSaveAndItsSecretStays(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("R"))
	_, err := h.setAuth(withOAuth2(&outboundv1.OAuth2ClientCredentials{TokenUrl: "http://token.example.com/", Scopes: []string{"a b"}}))
	const field = "http.auth.oauth2."
	wantFields(t, err, field+"tokenUrl", field+"clientId", field+"clientSecret", field+"scopes[0]")
	good := &outboundv1.OAuth2ClientCredentials{TokenUrl: "https://token.example.com/", ClientId: "outbound", ClientSecret: canaryClient,
		Scopes: []string{"a", "b"}}
	r, err := h.setAuth(withOAuth2(good))
	if k := r.GetHttp().GetAuth().GetOauth2(); err != nil || k.GetClientSecret() != "" || !k.GetClientSecretSet() {
		t.Errorf("answered %v (%v)", k, err)
	}
	good.ClientSecret, good.ClientId = "", "other"
	if _, err = h.setAuth(withOAuth2(good)); err != nil {
		t.Fatal(err)
	}
	if got := h.opened(h.stored("r"), credential.SecretOAuth2Client); got != canaryClient {
		t.Errorf("the secret is %q", got)
	}
	next := &outboundv1.Recipient{
		Id: "r", Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{Headers: map[string]string{"authorization": "x"}}},
	}
	_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: next, UpdateMask: mask("http.headers")})
	wantFields(t, err, "http.auth", `http.headers["authorization"]`)
}

func TestKeyPairsSignBesideSharedSecretsAndTurnOver(t *testing.T) {
	h := start(t)
	seed := bytes.Repeat([]byte{9}, ed25519.SeedSize)
	pair := ed25519.NewKeyFromSeed(seed)
	public := "whpk_" + base64.StdEncoding.EncodeToString(pair[ed25519.SeedSize:])
	in := httpRecipient("R")
	in.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{
		{}, {Kind: outboundv1.SigningSecret_ED25519, PublicKey: "whpk_forged"}, {Secret: "whsk_" + base64.StdEncoding.EncodeToString(seed)},
	}
	list := h.create(in).GetHttp().GetSigningSecrets()
	made, err := credential.ParseEd25519Secret(list[1].GetSecret())
	if err != nil || list[1].GetPublicKey() != credential.FormatEd25519Public(made) ||
		list[0].GetKind() != outboundv1.SigningSecret_HMAC_SHA256 {
		t.Errorf("made %v (%v)", list, err)
	}
	if list[2].GetKind() != outboundv1.SigningSecret_ED25519 || list[2].GetPublicKey() != public || list[2].GetSecret() != "" {
		t.Errorf("given: %v", list[2])
	}
	// Turned over: the old pair gets an end, what is known keeps its secret, and what callers say of public keys does not count.
	read, err := h.admin.GetRecipient(h.ctx(), &outboundv1.GetRecipientRequest{Id: "r"})
	if err != nil {
		t.Fatal(err)
	}
	turned := read.GetHttp().GetSigningSecrets()
	turned[1].ExpireTime, turned[1].PublicKey, turned[2].Kind = timestamppb.New(time.Now().Add(time.Hour)), "whpk_forged",
		outboundv1.SigningSecret_KIND_UNSPECIFIED
	read.GetHttp().SigningSecrets = append(turned, &outboundv1.SigningSecret{Kind: outboundv1.SigningSecret_ED25519})
	saved, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: read})
	if err != nil {
		t.Fatal(err)
	}
	now := saved.GetHttp().GetSigningSecrets()
	if now[1].GetPublicKey() != credential.FormatEd25519Public(made) || now[2].GetPublicKey() != public || now[3].GetSecret() == "" ||
		now[1].GetSecret() != "" {
		t.Errorf("turned over to %v", now)
	}
	if got := h.opened(h.stored("r"), credential.SigningSecretPath(now[1].GetId())); got != credential.FormatEd25519Secret(made) {
		t.Error("the pair that ends is another now")
	}
	// A kind does not change under a secret that is kept, nor does a secret fit another kind.
	now[0].Kind, now[3].Secret, saved.Etag = outboundv1.SigningSecret_ED25519, credential.FormatSigningSecret(seed), ""
	_, err = h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{Recipient: saved})
	wantFields(t, err, "http.signingSecrets[0].kind", "http.signingSecrets[3].secret")
}

func TestRootCertificatesAreShownAsTheyAre(t *testing.T) {
	h := start(t)
	root, _ := certified(t, newKey(t), func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.ExtKeyUsage, c.DNSNames = true, true, nil, []string{"ca.example.com"}
	})
	in := httpRecipient("R")
	in.GetHttp().CaCertificatePem = root
	in.GetHttp().CaCertificates = []*outboundv1.CertificateInfo{{Subject: "forged"}}
	created := h.create(in)
	block, _ := pem.Decode([]byte(root))
	sum := sha256.Sum256(block.Bytes)
	got := created.GetHttp().GetCaCertificates()
	if len(got) != 1 {
		t.Fatalf("shows %v", got)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	want := &outboundv1.CertificateInfo{
		Subject: "CN=outbound,O=Example", Issuer: "CN=outbound,O=Example", SerialNumber: "abc", Names: []string{"ca.example.com"},
		NotBeforeTime: timestamppb.New(c.NotBefore), NotAfterTime: timestamppb.New(c.NotAfter), FingerprintSha256: got[0].GetFingerprintSha256(),
	}
	if !proto.Equal(got[0], want) {
		t.Errorf("shows %v, want %v", got[0], want)
	}
	if plain := strings.ReplaceAll(got[0].GetFingerprintSha256(), ":", ""); !strings.EqualFold(plain, hex.EncodeToString(sum[:])) {
		t.Errorf("the fingerprint is %s", got[0].GetFingerprintSha256())
	}
	if stored := h.stored("r").GetRecipient().GetHttp().GetCaCertificates(); len(stored) != 0 {
		t.Errorf("stored is what is derived: %v", stored)
	}
}

func TestSecretsOfEveryAuthAreSealed(t *testing.T) {
	h := start(t)
	if _, err := h.settings.UpdateSmtpSettings(h.ctx(), &outboundv1.UpdateSmtpSettingsRequest{SmtpSettings: &outboundv1.SmtpSettings{
		Host: "relay.example.com", FromAddress: "o@example.com", Auth: outboundv1.SmtpSettings_Auth_PLAIN, Username: "u", Password: canaryRelay,
	}}); err != nil {
		t.Fatal(err)
	}
	certificate, private := certified(t, newKey(t), nil)
	pair := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	signed := httpRecipient("Signed")
	signed.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{Secret: credential.FormatEd25519Secret(pair)}}
	signed.GetHttp().Auth = withCertificate(certificate, private)
	asked := httpRecipient("Asked")
	asked.GetHttp().Auth = withOAuth2(&outboundv1.OAuth2ClientCredentials{TokenUrl: "https://token.example.com/", ClientId: "o",
		ClientSecret: canaryClient})
	h.create(signed)
	h.create(asked)
	key := strings.Split(private, "\n")[1]
	h.findNone(canaryClient, key, base64.StdEncoding.EncodeToString(pair[:30]), string(pair[:ed25519.SeedSize]))
}

func newKey(t *testing.T) *ecdsa.PrivateKey { return certtest.NewKey(t) }
