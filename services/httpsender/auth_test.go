package httpsender_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// client issues a certificate for a TLS client, as PEM with its key.
func (a *authority) client(t testing.TB, change func(*x509.Certificate)) (certificate, key string) {
	t.Helper()
	pair := a.issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IPAddresses, c.ExtKeyUsage = "outbound", nil, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if change != nil {
			change(c)
		}
	})
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("the key is a %T", pair.PrivateKey)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestClientCertificateIsPresented(t *testing.T) {
	servers, clients, others := newAuthority(t, "servers' root"), newAuthority(t, "clients' root"), newAuthority(t, "others' root")
	pool := x509.NewCertPool()
	pool.AddCert(clients.cert)
	certificate, key := clients.client(t, nil)
	foreign, foreignKey := others.client(t, nil)
	ended, endedKey := clients.client(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = c.NotBefore.Add(-time.Hour), c.NotBefore.Add(time.Minute)
	})
	for name, c := range map[string]struct {
		auth   recipient.Auth
		reason reasons.Reason
		detail string
	}{
		"the right one": {recipient.Auth{ClientCertificatePEM: certificate, ClientKeyPEM: key}, reasons.OK, ""},
		"none":          {recipient.Auth{}, reasons.TLS, "certificate required"},
		"of an authority not trusted": {recipient.Auth{ClientCertificatePEM: foreign, ClientKeyPEM: foreignKey}, reasons.TLS,
			"rejected by the receiver: tls: unknown certificate authority"},
		"with the key of another": {recipient.Auth{ClientCertificatePEM: certificate, ClientKeyPEM: foreignKey}, reasons.Auth,
			"does not match the certificate"},
		"without a key": {recipient.Auth{ClientCertificatePEM: certificate}, reasons.Auth, "contains no PEM"},
		"expired": {recipient.Auth{ClientCertificatePEM: ended, ClientKeyPEM: endedKey}, reasons.Auth,
			"the client certificate expired on 2"},
	} {
		for version, most := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
			t.Run(name+", "+version, func(t *testing.T) {
				config := &tls.Config{Certificates: []tls.Certificate{servers.issue(t, nil)}, ClientAuth: tls.RequireAndVerifyClientCert,
					ClientCAs: pool, MaxVersion: most}
				peer := make(chan string, 1)
				r := newReceiver(t, config, func(_ http.ResponseWriter, q *http.Request) { peer <- q.TLS.PeerCertificates[0].Subject.CommonName })
				_, v := attempt(t, newSender(t), deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.CAPEM, r.HTTP.Auth = servers.pem, c.auth }))
				if c.reason == reasons.OK {
					if v.Kind != delivery.Delivered || <-peer != "outbound" {
						t.Errorf("got %+v", v)
					}
					return
				}
				detail := c.detail
				if most == tls.VersionTLS12 && v.Reason == reasons.TLS {
					detail = "TLS: "
				}
				if v.Kind != delivery.Retry || v.Reason != c.reason || !strings.Contains(v.Detail, detail) || strings.Contains(v.Detail, "MIG") {
					t.Errorf("got %+v, want %s: %s", v, c.reason, detail)
				}
				if n := r.requests.Load(); n != 0 {
					t.Errorf("%d requests arrived without the certificate", n)
				}
			})
		}
	}
}

func TestClientCertificateIsNotLeftOutWhereNobodyAsksForOne(t *testing.T) {
	certificate, key := newAuthority(t, "clients' root").client(t, nil)
	r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	o, v := attempt(t, newSender(t), deliveryTo(r.URL, func(r *recipient.Recipient) {
		r.HTTP.Auth = recipient.Auth{ClientCertificatePEM: certificate, ClientKeyPEM: key}
	}))
	if o.Fault != delivery.FaultAuth || v.Reason != reasons.Auth || r.connections.Load() != 0 {
		t.Errorf("over plain HTTP: %+v, %+v", o, v)
	}
}

func TestGoneEndsADeliveryWhereThatIsChosen(t *testing.T) {
	r := newReceiver(t, nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	for chosen, want := range map[bool]delivery.Verdict{
		false: {Kind: delivery.Retry, Reason: reasons.HTTPStatus, Detail: "HTTP 410 Gone"},
		true:  {Kind: delivery.Drop, Reason: reasons.Gone, Detail: "HTTP 410 Gone: the receiver no longer accepts this event"},
	} {
		if _, v := attempt(t, newSender(t), deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.StopOnGone = chosen })); v != want {
			t.Errorf("chosen %t: %+v, want %+v", chosen, v, want)
		}
	}
}
