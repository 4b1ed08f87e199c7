package allinone_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/allinone"
)

// trusting is a client's configuration that trusts the authority of a data folder alone.
func (r *running) trusting() *tls.Config {
	r.t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(r.file("pki/ca.crt"))) {
		r.t.Fatal("pki/ca.crt holds no certificate")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func TestAllListenersSpeakTLSWithALocalAuthority(t *testing.T) {
	o := options(t)
	o.TLS, o.TLSHosts = allinone.TLSAuto, []string{"outbound.example.com"}
	r := start(t, o)
	if link := waittest.Receive(t, "the link for the first user", r.first); !strings.HasPrefix(link, "https://"+r.at.HTTP+"/") {
		t.Errorf("the first user is made at %s", link)
	}
	for _, name := range []string{"pki/ca.key", "pki/tls.key"} {
		if info, err := os.Stat(filepath.Join(o.Data, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	transport := &http.Transport{TLSClientConfig: r.trusting(), DisableKeepAlives: true, ForceAttemptHTTP2: true}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.at.HTTP+"/v1/appliances", strings.NewReader(`{"id":"a-1"}`))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	answer, err := (&http.Client{Transport: transport}).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	transport.CloseIdleConnections()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
		t.Fatalf("%d over %s: %s", answer.StatusCode, answer.Proto, body)
	}
	if err := answer.TLS.PeerCertificates[0].VerifyHostname("outbound.example.com"); err != nil {
		t.Error(err)
	}
	a := read[struct{ User, Password, Token string }](t, string(body))
	var nc *nats.Conn
	waittest.NoError(t, "the broker to let the appliance in over TLS", func() (err error) {
		nc, err = nats.Connect("nats://"+r.at.NATS, nats.UserInfo(a.User, a.Password), nats.Secure(r.trusting()), nats.Timeout(waittest.Limit))
		return err
	})
	defer nc.Close()
	m, err := nc.Request("outbound.ingest.a-1.support_conference_end", []byte(event("e-1")), waittest.Limit)
	if err != nil || !strings.Contains(string(m.Data), "a-1~e-1") {
		t.Errorf("an event over NATS: %v, %v", m, err)
	}
	if plain, err := nats.Connect("nats://"+r.at.NATS, nats.UserInfo(a.User, a.Password), nats.RootCAs()); err == nil {
		plain.Close()
		t.Error("a client that does not know the authority is connected")
	}
	if code, text, err := r.ask(http.MethodGet, "/v1/recipients", r.token, ""); err != nil || code != http.StatusBadRequest {
		t.Errorf("plain HTTP is answered %d, %s, %v", code, text, err)
	}
	r.overGRPC()

	fingerprint := r.at.CAFingerprint
	if pin, err := pki.ParsePin(fingerprint); err != nil || pin == (pki.Pin{}) || r.at.TLS != allinone.TLSAuto {
		t.Errorf("the endpoints are %+v: %v", r.at, err)
	}
	r.end()
	if again := start(t, o); again.at.CAFingerprint != fingerprint {
		t.Error("the second start has another authority")
	}
}

// overGRPC checks that gRPC speaks TLS, and that a token of people acts for nobody else.
func (r *running) overGRPC() {
	r.t.Helper()
	conn, err := rpc.Dial(r.at.GRPC, r.token, rpc.WithTLS(r.trusting()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "outbound-acting-name-bin", "eve", "outbound-acting-role", "admin")
	_, err = outboundv1.NewAccessServiceClient(conn).ListUsers(ctx, &outboundv1.ListUsersRequest{})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(status.Convert(err).Message(), "can't act for other users") {
		r.t.Errorf("acting for a user: %v", err)
	}
	if _, err := outboundv1.NewStatusServiceClient(conn).GetStatus(context.Background(), &outboundv1.GetStatusRequest{}); err != nil {
		r.t.Errorf("the status over TLS: %v", err)
	}
}

func TestPlainTextIsNotServedBeyondLoopbackUnlessAsked(t *testing.T) {
	for option, set := range map[string]func(*allinone.Options, string){
		"http (--http)": func(o *allinone.Options, a string) { o.HTTP = a },
		"grpc (--grpc)": func(o *allinone.Options, a string) { o.GRPC = a },
		"nats (--nats)": func(o *allinone.Options, a string) { o.NATS = a },
	} {
		for _, address := range []string{"0.0.0.0:0", "[::]:0", "192.0.2.1:8080"} {
			o := options(t)
			set(&o, address)
			err := o.Validate()
			if err == nil || !strings.HasPrefix(err.Error(), option) || strings.Contains(err.Error(), "\n") ||
				!strings.Contains(err.Error(), "--insecure") || !strings.Contains(err.Error(), "--tls auto") {
				t.Errorf("%s: %v", address, err)
			}
			o.Insecure = true
			if err := o.Validate(); err != nil {
				t.Errorf("%s with --insecure: %v", address, err)
			}
			o.Insecure, o.TLS = false, allinone.TLSAuto
			if err := o.Validate(); err != nil {
				t.Errorf("%s with TLS: %v", address, err)
			}
		}
	}
}

func TestOptionsOfTLSGoTogether(t *testing.T) {
	for want, set := range map[string]func(*allinone.Options){
		`tls (--tls): "on" is not known`:   func(o *allinone.Options) { o.TLS = "on" },
		"tlsCert (--tls-cert): is missing": func(o *allinone.Options) { o.TLS, o.TLSKey = allinone.TLSFiles, "k" },
		"tlsKey (--tls-key): is missing":   func(o *allinone.Options) { o.TLS, o.TLSCert = allinone.TLSFiles, "c" },
		"tls (--tls): is auto, but":        func(o *allinone.Options) { o.TLS, o.TLSCert = allinone.TLSAuto, "c" },
		"tls (--tls): is off, but":         func(o *allinone.Options) { o.TLSKey = "k" },
	} {
		o := options(t)
		set(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
