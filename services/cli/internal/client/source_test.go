package client_test

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
)

// dataFolder is a folder as `outbound run` keeps it.
func dataFolder(t *testing.T, endpoints string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"endpoints.json": endpoints, "admin.token": "of the folder\n", "my.token": "of the file\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWhereTheAddressAndTheTokenComeFrom(t *testing.T) {
	var token string
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/x": func(r *http.Request) (int, string) {
		token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		return http.StatusOK, "{}"
	}})
	host := strings.TrimPrefix(s.URL, "http://")
	dir := dataFolder(t, `{"http":"`+host+`"}`)
	both := map[string]string{"OUTBOUND_URL": s.URL + "/", "OUTBOUND_TOKEN": " of the environment\n"}
	wrong := map[string]string{"OUTBOUND_URL": "http://127.0.0.1:1", "OUTBOUND_TOKEN": "of the environment"}
	for _, c := range []struct {
		name, want string
		source     client.Source
		env        map[string]string
	}{
		{"the environment", "of the environment", client.Source{}, both},
		{"the folder before the environment", "of the folder", client.Source{Data: dir}, wrong},
		{"flags before the folder", "of the file", client.Source{URL: host, TokenFile: filepath.Join(dir, "my.token"), Data: dir}, wrong},
		{"a token on standard input", "typed", client.Source{URL: s.URL, TokenFile: "-"}, wrong},
	} {
		c.source.Files = &input.Reader{In: strings.NewReader("typed\n"), Getenv: func(name string) string { return c.env[name] }}
		connected, err := c.source.Connect()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := connected.Call(t.Context(), http.MethodGet, "/v1/x", nil, nil); err != nil || token != c.want {
			t.Errorf("%s: called with %q, %v", c.name, token, err)
		}
		connected.Close()
	}
}

func TestAnAddressOrATokenThatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name   string
		source client.Source
		token  string
		exit   int
	}{
		{"no token", client.Source{URL: "https://outbound.example"}, "", exit.CodeUsage},
		{"another scheme", client.Source{URL: "ftp://outbound.example"}, "x", exit.CodeUsage},
		{"no host", client.Source{URL: "http://"}, "x", exit.CodeUsage},
		{"no address", client.Source{URL: "http://a b"}, "x", exit.CodeUsage},
		{"no such folder", client.Source{Data: filepath.Join(t.TempDir(), "none")}, "x", exit.CodeFailed},
		{"a broken folder", client.Source{Data: dataFolder(t, "{")}, "x", exit.CodeFailed},
		{"no such token file", client.Source{TokenFile: filepath.Join(t.TempDir(), "none")}, "x", exit.CodeUsage},
	} {
		c.source.Files = &input.Reader{Getenv: func(name string) string { return map[string]string{"OUTBOUND_TOKEN": c.token}[name] }}
		if _, err := c.source.Connect(); err == nil || exit.Code(err) != c.exit {
			t.Errorf("%s: exit %d, %v", c.name, exit.Code(err), err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	got, err := client.ReadEndpoints(dataFolder(t, `{"http":"h:1","grpc":"g:2","nats":"n:3"}`))
	if err != nil || got != (client.Endpoints{HTTP: "h:1", GRPC: "g:2", NATS: "n:3"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// secureFolder is the folder of a server that speaks TLS with a certificate of a local authority, or with one from a file.
func secureFolder(t *testing.T, mode string) (url, dir string, chain []*x509.Certificate) {
	t.Helper()
	dir = dataFolder(t, "{}")
	a, err := pki.OpenAuthority(filepath.Join(dir, "pki"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1"}
	if mode == "files" {
		hosts = []string{"outbound.example.com"}
	}
	if _, err := a.Ensure(filepath.Join(dir, "pki"), pki.Subject{Hosts: hosts}, time.Now()); err != nil {
		t.Fatal(err)
	}
	o := pki.Options{CertFile: filepath.Join(dir, "pki", pki.FileCert), KeyFile: filepath.Join(dir, "pki", pki.FileKey)}
	files, err := pki.Load(o, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	s.TLS, s.Config.ErrorLog = files.Front(), log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	at := strings.TrimPrefix(s.URL, "https://")
	text := `{"http":"` + at + `","tls":"auto","caFile":"/elsewhere/ca.crt"}`
	if mode == "files" {
		text = `{"http":"` + at + `","tls":"files","certFile":"` + o.CertFile + `"}`
	}
	if err := os.WriteFile(filepath.Join(dir, "endpoints.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(o.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	if chain, err = certificate.Parse(string(raw)); err != nil {
		t.Fatal(err)
	}
	return s.URL, dir, chain
}

func TestAServerWithTLSIsVerified(t *testing.T) {
	url, dir, chain := secureFolder(t, "auto")
	_, files, _ := secureFolder(t, "files")
	other, _, _ := secureFolder(t, "auto")
	ca := filepath.Join(dir, "pki", "ca.crt")
	for _, c := range []struct {
		name   string
		source client.Source
		env    map[string]string
		says   string // empty: it is trusted
	}{
		{"the data folder's authority", client.Source{Data: dir}, nil, ""},
		{"the data folder's certificate file", client.Source{Data: files}, nil, ""},
		{"a CA file", client.Source{URL: url, CAFile: ca}, nil, ""},
		{"a pinned authority", client.Source{URL: url, CAFingerprint: pki.Fingerprint(chain[1])}, nil, ""},
		{"a pinned certificate", client.Source{URL: url, CAFingerprint: pki.Fingerprint(chain[0])}, nil, ""},
		{"a CA file in the environment", client.Source{URL: url}, map[string]string{"OUTBOUND_CA_FILE": ca}, ""},
		{"a fingerprint in the environment", client.Source{URL: url},
			map[string]string{"OUTBOUND_CA_FINGERPRINT": pki.Fingerprint(chain[1])}, ""},
		{"nothing", client.Source{URL: url}, nil, "--ca-file or --ca-fingerprint"},
		{"another server's authority", client.Source{URL: other, CAFile: ca}, nil, "--ca-file or --ca-fingerprint"},
		{"another server's pin", client.Source{URL: other, CAFingerprint: pki.Fingerprint(chain[1])}, nil, "it presented sha256:"},
		{"plain HTTP to a server with TLS", client.Source{URL: strings.Replace(url, "https", "http", 1)}, nil, "use https://"},
		{"a wrong fingerprint", client.Source{URL: url, CAFingerprint: "sha256:1"}, nil, "64 hexadecimal digits"},
		{"no such CA file", client.Source{URL: url, CAFile: "/none"}, nil, "--ca-file: open /none"},
	} {
		c.source.Files = &input.Reader{Getenv: func(name string) string {
			if name == "OUTBOUND_TOKEN" {
				return "x"
			}
			return c.env[name]
		}}
		connected, err := c.source.Connect()
		if err == nil {
			err = connected.Call(t.Context(), http.MethodGet, "/v1/x", nil, nil)
			connected.Close()
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}
