package contexts_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/contexts"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// calling is a command that calls the server.
func calling(env *command.Env) *cobra.Command {
	return &cobra.Command{Use: "call", RunE: env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		return c.Call(ctx, http.MethodGet, "/v1/it", nil, nil)
	})}
}

// fixture is two servers and a folder for the contexts.
type fixture struct {
	t *testing.T
	*clitest.Server
	other  *clitest.Server
	tokens map[string][]string
	dir    string
}

func start(t *testing.T) *fixture {
	t.Helper()
	h := &fixture{t: t, tokens: map[string][]string{}, dir: t.TempDir()}
	answer := func(name string) clitest.Answer {
		return func(r *http.Request) (int, string) {
			h.tokens[name] = append(h.tokens[name], r.Header.Get("Authorization"))
			return http.StatusOK, "{}"
		}
	}
	h.Server = clitest.Serve(t, map[string]clitest.Answer{"GET /v1/it": answer("first")})
	h.other = clitest.Serve(t, map[string]clitest.Answer{"GET /v1/it": answer("second")})
	h.Env = map[string]string{"XDG_CONFIG_HOME": filepath.Join(h.dir, "config")}
	for name, token := range map[string]string{"first.token": "one\n", "second.token": "two\n"} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h *fixture) file() string { return filepath.Join(h.dir, "config", "outbound", "contexts.yaml") }

// must runs a command that succeeds.
func (h *fixture) must(args ...string) string {
	h.t.Helper()
	build := contexts.Command
	if args[0] == "call" {
		build = calling
	}
	got := h.Run(h.t, build, args...)
	if got.Code != exit.CodeOK {
		h.t.Fatalf("%v: %+v", args, got)
	}
	return got.Out
}

func TestACommandCallsTheCurrentContext(t *testing.T) {
	h := start(t)
	h.must("context", "add", "first", "--url", h.URL, "--token-file", filepath.Join(h.dir, "first.token"))
	h.In = "two\n"
	h.must("context", "add", "second", "--url", h.other.URL, "--token-file", "-")
	info, err := os.Stat(h.file())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v, %v", info, err)
	}
	raw, err := os.ReadFile(h.file())
	if err != nil || strings.Contains(string(raw), "one") || !strings.Contains(string(raw), "token: two") {
		t.Errorf("the file holds\n%s%v", raw, err)
	}
	h.must("call")
	h.must("call", "--context", "second")
	h.must("context", "use", "second")
	h.must("call")
	if first, second := h.tokens["first"], h.tokens["second"]; !slices.Equal(first, []string{"Bearer one"}) ||
		!slices.Equal(second, []string{"Bearer two", "Bearer two"}) {
		t.Errorf("called with %v", h.tokens)
	}
	for _, format := range []string{"table", "json"} {
		if out := h.must("context", "ls", "-o", format); strings.Contains(out, "two") || !strings.Contains(out, h.other.URL) ||
			!strings.Contains(out, "second") {
			t.Errorf("listed as %s:\n%s", format, out)
		}
	}
	h.must("context", "remove", "second")
	if out := h.must("context", "list"); strings.Contains(out, "second") || strings.Contains(out, "*") {
		t.Errorf("after the removal there are\n%s", out)
	}
}

func TestATokenOfAContextGoesToItsServerAlone(t *testing.T) {
	h := start(t)
	h.must("context", "add", "first", "--url", h.URL, "--token-file", filepath.Join(h.dir, "first.token"), "--store-token")
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
	}{
		"flag":        {nil, []string{"call", "--url", h.other.URL}},
		"environment": {map[string]string{"OUTBOUND_URL": h.other.URL}, []string{"call"}},
	} {
		for key, value := range c.env {
			h.Env[key] = value
		}
		if got := h.Run(t, calling, c.args...); got.Code != exit.CodeUsage || !strings.Contains(got.Err, "no token") {
			t.Errorf("%s: %+v", name, got)
		}
		h.Env["OUTBOUND_TOKEN"] = "mine"
		h.must(c.args...)
		delete(h.Env, "OUTBOUND_TOKEN")
		for key := range c.env {
			delete(h.Env, key)
		}
	}
	if got := h.tokens["second"]; len(got) != 2 || got[0] != "Bearer mine" || got[1] != "Bearer mine" {
		t.Errorf("the other server was called with %v", got)
	}
	h.must("call", "--token-file", filepath.Join(h.dir, "second.token"))
	if got := h.tokens["first"]; len(got) != 1 || got[0] != "Bearer two" {
		t.Errorf("--token-file is not used: %v", got)
	}
}

func TestAContextThatCannotBeUsedSaysWhy(t *testing.T) {
	h := start(t)
	token := filepath.Join(h.dir, "first.token")
	h.must("context", "add", "first", "--url", h.URL, "--token-file", token)
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"context add first --url " + h.URL + " --token-file " + token, exit.CodeUsage, "--replace"},
		{"context add no/name --url " + h.URL + " --token-file " + token, exit.CodeUsage, "not a name"},
		{"context add x --token-file " + token, exit.CodeUsage, "--url"},
		{"context add x --url " + h.URL, exit.CodeUsage, "--token-file"},
		{"context add x --url ftp://x --token-file " + token, exit.CodeUsage, "not a valid address"},
		{"context add x --url " + h.URL + " --token-file " + token + ".none", exit.CodeUsage, "no such file"},
		{"context add x --data " + h.dir + "/none", exit.CodeUsage, "no such file"},
		{"context use fisrt", exit.CodeNotFound, `did you mean "first"`},
		{"context remove nothing", exit.CodeNotFound, "context list"},
		{"call --context frist", exit.CodeNotFound, `did you mean "first"`},
		{"call --context first --url " + h.other.URL, exit.CodeUsage, "excludes"},
	} {
		build := contexts.Command
		if strings.HasPrefix(c.args, "call") {
			build = calling
		}
		if got := h.Run(t, build, strings.Fields(c.args)...); got.Code != c.code || !strings.Contains(got.Err, c.says) {
			t.Errorf("%s: %+v", c.args, got)
		}
	}
	h.must("context", "add", "first", "--replace", "--data", h.dir)
	if out := h.must("context", "list"); strings.Count(out, "first") != 1 || !strings.Contains(out, "*") {
		t.Errorf("replaced, there are\n%s", out)
	}
	if err := os.Chmod(h.file(), 0o644); err != nil { //nolint:gosec // what is refused
		t.Fatal(err)
	}
	if got := h.Run(t, calling, "call"); got.Code != exit.CodeUsage || !strings.Contains(got.Err, "chmod 600") {
		t.Errorf("a file that others can read: %+v", got)
	}
	if err := os.WriteFile(h.file(), []byte("contexts: [{nam: x}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.file(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := h.Run(t, calling, "call"); got.Code != exit.CodeUsage || !strings.Contains(got.Err, "nam") {
		t.Errorf("a file with an unknown key: %+v", got)
	}
}
