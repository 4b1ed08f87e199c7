package chart_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// serverVariable names the folder with kube-apiserver and etcd.
const serverVariable = "OUTBOUND_TEST_KUBE"

// unserved are kinds whose definitions come with no Go module: the API server is not asked about them.
var unserved = map[string]bool{"ServiceMonitor": true, "PrometheusRule": true} //nolint:gochecknoglobals // a constant

// server is a Kubernetes API server of a test's own.
type server struct {
	t    *testing.T
	url  string
	http *http.Client
	// paths are where kinds are created, by apiVersion and kind.
	paths map[string]string
}

// TestTheAPIServerTakesEveryManifest has a real API server check each manifest as if it were created, with strict fields.
func TestTheAPIServerTakesEveryManifest(t *testing.T) {
	bin := os.Getenv(serverVariable)
	if bin == "" {
		t.Skip("kube-apiserver takes long to build: make test-kube runs it")
	}
	s := startServer(t, bin)
	s.create("/api/v1/namespaces", "", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"events"}}`)
	s.define("github.com/kedacore/keda/v2", "config/crd/bases/keda.sh_scaledobjects.yaml")
	s.define("github.com/cert-manager/cert-manager", "deploy/crds/cert-manager.io_certificates.yaml")
	total, left := 0, 0
	for _, name := range sets {
		all, err := render(values(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range all {
			raw, err := yaml.YAMLToJSON([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			var about struct{ APIVersion, Kind string }
			if err := json.Unmarshal(raw, &about); err != nil {
				t.Fatal(err)
			}
			if unserved[about.Kind] {
				left++
				continue
			}
			s.create(s.path(about.APIVersion, about.Kind), "?dryRun=All&fieldValidation=Strict", string(raw))
			total++
		}
	}
	t.Logf("%d manifests of %d value sets are taken, %d of kinds without a definition left out", total, len(sets), left)
	if total < 100 {
		t.Errorf("%d manifests were sent", total)
	}
	// A server that takes anything would show nothing.
	const wrong = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"x","namespace":"events"},"spec":{"ports":[{"port":70000}]}}`
	if code, _ := s.post(s.path("v1", "Service")+"?dryRun=All&fieldValidation=Strict", wrong); code < 400 {
		t.Errorf("a wrong manifest is taken with %d", code)
	}
}

// startServer starts etcd and an API server. They end with the test.
func startServer(t *testing.T, bin string) *server {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	accounts, tokens := filepath.Join(dir, "accounts.key"), filepath.Join(dir, "tokens.csv")
	err = errors.Join(os.WriteFile(accounts, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(tokens, []byte("admin-token,admin,admin,system:masters\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	clients, peers, secure := free(t), free(t), free(t)
	run(t, filepath.Join(bin, "etcd"), "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls=http://"+clients,
		"--advertise-client-urls=http://"+clients, "--listen-peer-urls=http://"+peers, "--initial-advertise-peer-urls=http://"+peers,
		"--initial-cluster=default=http://"+peers, "--log-level=error")
	_, port, _ := net.SplitHostPort(secure)
	run(t, filepath.Join(bin, "kube-apiserver"), "--etcd-servers=http://"+clients, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--cert-dir="+filepath.Join(dir, "certs"), "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+accounts, "--service-account-signing-key-file="+accounts, "--token-auth-file="+tokens,
		"--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount")
	s := &server{t: t, url: "https://" + secure, paths: map[string]string{}, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the server's certificate is made at its start
	}}}
	s.await("/readyz", func(code int, _ []byte) bool { return code == http.StatusOK })
	return s
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// run starts a process that ends with the test. A test that fails shows the end of what it wrote.
func run(t *testing.T, path string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote …%s", filepath.Base(path), out.Bytes()[max(0, out.Len()-3000):])
		}
	})
}

// ask calls the server.
func (s *server) ask(method, path, body string) (int, []byte) {
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer admin-token")
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, raw
}

func (s *server) post(path, body string) (int, []byte) { return s.ask(http.MethodPost, path, body) }

// await asks until an answer is as wanted.
func (s *server) await(path string, wanted func(code int, body []byte) bool) {
	s.t.Helper()
	const limit = 5 * time.Minute
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		code, body := s.ask(http.MethodGet, path, "")
		if wanted(code, body) {
			return
		}
		if time.Since(began) > limit {
			s.t.Fatalf("waited %s for %s: %d %s", limit, path, code, body)
		}
	}
}

// create creates an object.
func (s *server) create(path, query, body string) {
	s.t.Helper()
	if code, answer := s.post(path+query, body); code != http.StatusCreated {
		s.t.Errorf("%s was answered with %d %s\n%s", path, code, answer, body)
	}
}

// define creates the definition of a kind, which a module has in a file, and waits until it is served.
func (s *server) define(module, file string) {
	s.t.Helper()
	dir, err := exec.CommandContext(s.t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := yaml.YAMLToJSON(text)
	if err != nil {
		s.t.Fatal(err)
	}
	var d struct {
		Spec struct {
			Group    string
			Versions []struct{ Name string }
		}
	}
	if err := json.Unmarshal(raw, &d); err != nil || len(d.Spec.Versions) == 0 {
		s.t.Fatalf("%s: %v", file, err)
	}
	s.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "", string(raw))
	s.await(fmt.Sprintf("/apis/%s/%s", d.Spec.Group, d.Spec.Versions[0].Name), func(code int, _ []byte) bool { return code == http.StatusOK })
}

// path is where objects of a kind are created, by the server's own discovery.
func (s *server) path(apiVersion, kind string) string {
	s.t.Helper()
	if p, ok := s.paths[apiVersion+" "+kind]; ok {
		return p
	}
	base := "/apis/" + apiVersion
	if !strings.Contains(apiVersion, "/") {
		base = "/api/" + apiVersion
	}
	_, raw := s.ask(http.MethodGet, base, "")
	var list struct{ Resources []struct{ Name, Kind string } }
	if err := json.Unmarshal(raw, &list); err != nil {
		s.t.Fatalf("%s: %v", base, err)
	}
	for _, r := range list.Resources {
		if r.Kind == kind && !strings.Contains(r.Name, "/") {
			s.paths[apiVersion+" "+kind] = base + "/namespaces/events/" + r.Name
			return s.paths[apiVersion+" "+kind]
		}
	}
	s.t.Fatalf("the API server has no %s %s", apiVersion, kind)
	return ""
}
