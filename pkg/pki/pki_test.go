package pki_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/pki"
)

// issue makes a certificate of the authority in ca for a subject, and returns the options that name its files.
func issue(t *testing.T, ca string, s pki.Subject, now time.Time) pki.Options {
	t.Helper()
	a, err := pki.OpenAuthority(ca, now)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cert")
	if _, err := a.Ensure(dir, s, now); err != nil {
		t.Fatal(err)
	}
	return pki.Options{CertFile: filepath.Join(dir, pki.FileCert), KeyFile: filepath.Join(dir, pki.FileKey),
		CAFile: filepath.Join(ca, pki.FileCA)}
}

func load(t *testing.T, o pki.Options, b *notice.Board, now func() time.Time) *pki.Files {
	t.Helper()
	f, err := pki.Load(o, b, now)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// handshake speaks TLS between a server's and a client's configuration and returns what each says, and what the server sees.
func handshake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := pki.Listener(l, server).Accept()
		if err != nil {
			serverErr = err
			return
		}
		c := raw.(*tls.Conn)
		defer func() { _ = c.Close() }()
		if serverErr = c.HandshakeContext(context.Background()); serverErr == nil {
			state = c.ConnectionState()
			_, serverErr = io.WriteString(c, "x")
		}
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), client)
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 1)) // in TLS 1.3 a refusal of the client's certificate comes with the first read
		_ = c.Close()
	}
	<-done
	return state, serverErr, err
}

func TestServicesKnowEachOtherByTheirCertificates(t *testing.T) {
	ca, now := t.TempDir(), time.Now()
	hosts := []string{"localhost", "127.0.0.1"}
	config := load(t, issue(t, ca, pki.Subject{Service: "config", Hosts: hosts}, now), nil, nil)
	sender := load(t, issue(t, ca, pki.Subject{Service: "http-sender", Hosts: hosts}, now), nil, nil)
	foreign := load(t, issue(t, t.TempDir(), pki.Subject{Service: "console", Hosts: hosts}, now), nil, nil)

	state, serverErr, clientErr := handshake(t, config.Server(), sender.Client("127.0.0.1:7070", "config"))
	if serverErr != nil || clientErr != nil {
		t.Fatalf("server: %v, client: %v", serverErr, clientErr)
	}
	if len(state.VerifiedChains) == 0 {
		t.Fatal("the client's certificate is not verified")
	}
	if is, ok := pki.Identity(state.PeerCertificates[0]); !ok || is != "http-sender" {
		t.Errorf("the client is %q, %v", is, ok)
	}
	if state.Version < tls.VersionTLS12 {
		t.Errorf("the version is %x", state.Version)
	}
	refusals := map[string]struct {
		server *pki.Files
		client *tls.Config
		want   string
	}{
		"a sender in place of the config service": {sender, sender.Client("dns:///localhost:7070", "config"), "of http-sender, not of config"},
		"another host":                  {config, sender.Client("config.example:7070", "config"), "config.example"},
		"a server of another authority": {foreign, sender.Client("localhost", "console"), "unknown authority"},
	}
	for name, c := range refusals {
		if _, _, err := handshake(t, c.server.Server(), c.client); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	impostor := sender.Client("localhost", "config")
	impostor.GetClientCertificate = foreign.Client("localhost", "config").GetClientCertificate
	if _, serverErr, _ := handshake(t, config.Server(), impostor); serverErr == nil {
		t.Error("a client's certificate of another authority is accepted")
	}
	bare := sender.Client("localhost", "config")
	bare.GetClientCertificate = nil
	state, serverErr, clientErr = handshake(t, config.Server(), bare)
	if serverErr != nil || clientErr != nil || len(state.PeerCertificates) > 0 {
		t.Errorf("without a client's certificate: %v, %v", serverErr, clientErr)
	}
	old := sender.Client("localhost", "config")
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for _, server := range []*tls.Config{config.Server(), config.Front()} {
		if _, _, err := handshake(t, server, old); err == nil {
			t.Error("TLS 1.1 is spoken")
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreReadAgainAndBrokenOnesLeaveTheOldInUse(t *testing.T) {
	ca, now := t.TempDir(), time.Now()
	clock := func() time.Time { return now }
	board := notice.NewBoard(nil)
	s := pki.Subject{Service: "config", Hosts: []string{"localhost"}}
	o, next := issue(t, ca, s, now), issue(t, ca, s, now)
	f := load(t, o, board, clock)
	serial := func() string {
		c, err := f.Front().GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.Leaf.SerialNumber.String()
	}
	noticed := func(want string) {
		t.Helper()
		f.Refresh()
		all := strings.Join(board.All(), "\n")
		if (want == "") != (all == "") || !strings.Contains(all, want) {
			t.Errorf("notices are %q, want %q", all, want)
		}
	}
	first := serial()
	noticed("")
	copyFile(t, next.CertFile, o.CertFile) // the key is still the old one
	noticed("does not match the certificate")
	if serial() != first {
		t.Error("a certificate without its key is in use")
	}
	copyFile(t, next.KeyFile, o.KeyFile)
	noticed("")
	second := serial()
	if second == first {
		t.Error("the new files are not in use")
	}
	for what, spoil := range map[string]func(){
		"contains no PEM certificate": func() { _ = os.WriteFile(o.CertFile, []byte("nothing\n"), 0o600) },
		"tls.certFile: open":          func() { _ = os.Remove(o.CertFile) },
	} {
		spoil()
		noticed(what)
		if serial() != second {
			t.Errorf("%s: another certificate is in use", what)
		}
	}
	expired := issue(t, ca, s, now.Add(-400*24*time.Hour))
	copyFile(t, expired.CertFile, o.CertFile)
	copyFile(t, expired.KeyFile, o.KeyFile)
	noticed("expired on")
	if serial() != second {
		t.Error("an expired certificate is in use in place of a valid one")
	}
	copyFile(t, next.CertFile, o.CertFile)
	copyFile(t, next.KeyFile, o.KeyFile)
	noticed("")
	now = now.Add(360 * 24 * time.Hour)
	noticed("expires on")
	now = now.Add(10 * 24 * time.Hour)
	noticed("clients refuse the connection")
}

func TestTheAuthorityIsKeptAndRenewed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	open := func() *pki.Authority {
		t.Helper()
		a, err := pki.OpenAuthority(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ensure := func(want bool, hosts ...string) {
		t.Helper()
		if issued, err := open().Ensure(dir, pki.Subject{Hosts: hosts}, now); err != nil || issued != want {
			t.Errorf("issued %v, %v, want %v", issued, err, want)
		}
	}
	ensure(true, "localhost")
	ensure(false, "localhost")
	ensure(true, "localhost", "192.0.2.1")
	ensure(false, "192.0.2.1")
	for _, name := range []string{pki.FileCAKey, pki.FileKey} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	fingerprint, old := open().Fingerprint(), open().CertificatePEM()
	now = now.Add(250 * 24 * time.Hour)
	ensure(true, "localhost")
	if open().Fingerprint() != fingerprint {
		t.Error("the authority changed with a certificate of its")
	}
	now = now.Add(7 * 365 * 24 * time.Hour)
	ensure(true, "localhost")
	if open().Fingerprint() == fingerprint {
		t.Error("the authority is not renewed")
	}
	chain := parse(t, filepath.Join(dir, pki.FileCert))
	roots, err := certificate.Pool(string(old))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: "localhost", Roots: roots, CurrentTime: now}); err != nil {
		t.Errorf("who trusts the authority as it was does not trust what it issues now: %v", err)
	}
	for _, missing := range []string{pki.FileCAKey, pki.FileCA} {
		spoiled := t.TempDir()
		if _, err := pki.OpenAuthority(spoiled, now); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(spoiled, missing)); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.OpenAuthority(spoiled, now); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

func parse(t *testing.T, file string) []*x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := certificate.Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAPinIsOfTheServerOrItsAuthority(t *testing.T) {
	ca, now := t.TempDir(), time.Now()
	o := issue(t, ca, pki.Subject{Hosts: []string{"localhost"}}, now)
	server := load(t, o, nil, nil)
	chain := parse(t, o.CertFile)
	dial := func(fingerprint, host string) error {
		t.Helper()
		pin, err := pki.ParsePin(fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = handshake(t, server.Front(), pin.Client(host))
		return err
	}
	for _, c := range chain {
		for _, text := range []string{pki.Fingerprint(c), certificate.Fingerprint(c), "SHA256:" + certificate.Fingerprint(c)} {
			if err := dial(text, "localhost"); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		if err := dial(pki.Fingerprint(c), "elsewhere.example"); err == nil {
			t.Error("a pinned certificate is good for every host")
		}
	}
	other := parse(t, issue(t, t.TempDir(), pki.Subject{}, now).CertFile)
	if err := dial(pki.Fingerprint(other[1]), "localhost"); err == nil || !strings.Contains(err.Error(), pki.Fingerprint(chain[0])) {
		t.Errorf("another authority: %v", err)
	}
	for _, wrong := range []string{"", "sha256:", "sha256:12", "sha1:" + strings.Repeat("0", 40), strings.Repeat("zz", 32)} {
		if _, err := pki.ParsePin(wrong); err == nil {
			t.Errorf("%q is taken as a fingerprint", wrong)
		}
	}
	if _, _, err := handshake(t, server.Front(), pki.Same(chain)); err != nil {
		t.Errorf("the file's own certificate: %v", err)
	}
	var refused *tls.CertificateVerificationError
	if _, _, err := handshake(t, server.Front(), pki.Same(other)); !errors.As(err, &refused) {
		t.Errorf("another certificate than the file's: %v", err)
	}
}

func TestFaultsNameTheOptionAndTheFile(t *testing.T) {
	ca, now := t.TempDir(), time.Now()
	good := issue(t, ca, pki.Subject{Service: "config"}, now)
	other := issue(t, ca, pki.Subject{Service: "config"}, now)
	for want, o := range map[string]pki.Options{
		"tls.certFile: open /none":    {CertFile: "/none", KeyFile: good.KeyFile},
		"tls.keyFile: open /none":     {CertFile: good.CertFile, KeyFile: "/none"},
		"tls.caFile: open /none":      {CAFile: "/none"},
		"does not match":              {CertFile: good.CertFile, KeyFile: other.KeyFile},
		"no PEM private key":          {CertFile: good.CertFile, KeyFile: good.CertFile},
		"tls.caFile: " + good.KeyFile: {CAFile: good.KeyFile},
	} {
		if _, err := pki.Load(o, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	if err := (pki.Options{CertFile: "x"}).Validate(); err == nil || !strings.Contains(err.Error(), "keyFile") {
		t.Errorf("a certificate without a key: %v", err)
	}
	if err := (pki.Options{KeyFile: "x"}).Validate(); err == nil || !strings.Contains(err.Error(), "certFile") {
		t.Errorf("a key without a certificate: %v", err)
	}
}
