package client_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
