package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
	"github.com/outbound-events/outbound/services/cli"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// fixture is the all-in-one with a command line beside it, both in a folder of their own.
type fixture struct {
	t   *testing.T
	dir string
	env map[string]string
}

func open(t *testing.T, adapt ...func(*allinone.Options)) *fixture {
	t.Helper()
	h := &fixture{t: t, dir: t.TempDir(), env: map[string]string{}}
	o := allinone.DefaultOptions()
	o.Data, o.HTTP, o.GRPC, o.NATS = filepath.Join(h.dir, "data"), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	o.URLPolicy, o.Telemetry.LogLevel = "any", "error"
	for _, f := range adapt {
		f(&o)
	}
	s, err := allinone.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case e := <-s.Ready():
		h.env["OUTBOUND_URL"] = "http://" + e.HTTP
	case err := <-done:
		done <- err
		t.Fatal(err)
	case <-waittest.Late():
		t.Fatal("the all-in-one is not ready")
	}
	token, err := os.ReadFile(filepath.Join(o.Data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	h.env["OUTBOUND_TOKEN"] = string(token)
	return h
}

// run runs a command and gives its exit code, output and errors.
func (h *fixture) run(stdin string, args ...string) (code int, out, errors string) {
	h.t.Helper()
	var o, e bytes.Buffer
	root := cli.New(cli.Options{In: strings.NewReader(stdin), Out: &o, Err: &e, Getenv: func(k string) string { return h.env[k] },
		Version: "test"})
	code = cli.Execute(h.t.Context(), root, args)
	return code, o.String(), e.String()
}

// must runs a command that has to succeed.
func (h *fixture) must(args ...string) string {
	h.t.Helper()
	code, out, errors := h.run("", args...)
	if code != 0 {
		h.t.Fatalf("outbound %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errors)
	}
	return out
}

// until repeats a command until its output is as wanted: what one service is told, others know a moment later.
func (h *fixture) until(wanted func(code int, out string) bool, args ...string) string {
	h.t.Helper()
	var out string
	waittest.NoError(h.t, "outbound "+strings.Join(args, " "), func() error {
		var code int
		var errors string
		if code, out, errors = h.run("", args...); !wanted(code, out) {
			return fmt.Errorf("exit %d, and not what is wanted\n%s%s", code, out, errors)
		}
		return nil
	})
	return out
}

// says wants a text in the output.
func says(text string) func(int, string) bool {
	return func(code int, out string) bool { return code == 0 && strings.Contains(out, text) }
}

func (h *fixture) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	h := open(t)
	h.env["PASSWORD"] = "first"
	file := h.write("x.yaml", `
customFields: [{displayName: Cost Centre}]
recipients:
  - displayName: CRM
    eventTypes: [support_conference_end, support_conference_begin]
    http:
      url: https://crm.example/hook
      retryInterval: 90s
      headers: {X-Team: ops}
      auth: {basic: {username: u, password: "${env:PASSWORD}"}}
      signingSecrets: [{}, {}]
`)
	if out := h.must("apply", "-f", file, "--dry-run"); !strings.Contains(out, "2 to create, 0 to change, 0 unchanged") {
		t.Error(out)
	}
	first := h.must("apply", "-f", file)
	if strings.Count(first, "shown only once: whsec_") != 2 || strings.Contains(first, "first") {
		t.Errorf("two new secrets are shown, and the password is not:\n%s", first)
	}
	before := h.must("recipients", "get", "crm", "-o", "json")
	if out := h.must("apply", "-f", file); !strings.HasSuffix(out, "0 created, 0 changed, 2 unchanged\n") {
		t.Error(out)
	}
	if after := h.must("recipients", "get", "crm", "-o", "json"); after != before {
		t.Errorf("the second run changed something:\n%s\n%s", before, after)
	}

	h.must("recipients", "update", "crm", "--timeout", "5s", "--retry-interval", "10s")
	out := h.must("apply", "-f", file)
	if !strings.Contains(out, `http.retryInterval: "10s" -> "90s"`) || strings.Contains(out, "timeout") {
		t.Errorf("what the file names is put right, what it does not name stays:\n%s", out)
	}
	out = h.must("apply", "-f", file, "--write-secrets", "--dry-run")
	if !strings.Contains(out, "http.auth") || strings.Contains(out, "first") {
		t.Errorf("secrets are written if asked for, and not shown:\n%s", out)
	}
	// What get prints can be applied as it is.
	round := h.write("round.yaml", h.must("recipients", "get", "crm", "-o", "yaml"))
	h.must("recipients", "update", "crm", "-f", round)
}

func TestExitCodesTellWhatHappened(t *testing.T) {
	h := open(t)
	h.must("recipients", "create", "--name", "CRM", "--url", "https://crm.example/hook", "--event", "support_conference_end")
	for _, x := range []struct {
		code int
		says string
		args []string
	}{
		{1, "--url: ", []string{"recipients", "create", "--name", "x", "--url", "nonsense", "--event", "nope"}},
		{1, "--event: ", []string{"recipients", "create", "--name", "x", "--url", "nonsense", "--event", "nope"}},
		{2, `unknown command "lsit" for "outbound recipients", did you mean "list"`, []string{"recipients", "lsit"}},
		{1, "http.url: ", []string{"recipients", "create", "-f", h.write("url.yaml", "{displayName: x, http: {url: nonsense}}")}},
		{2, "did you mean --recipient", []string{"status", "--recipent", "crm"}},
		{3, `did you mean "crm"`, []string{"recipients", "get", "cmr"}},
		{2, "calls no server", []string{"version", "--url", "http://x"}},
		{2, "needs RECIPIENT", []string{"recipients", "get"}},
		{2, "unknown flag: --nope", []string{"status", "--nope"}},
		{2, "table, json or yaml", []string{"status", "-o", "xml"}},
		{2, "nothing to change", []string{"recipients", "update", "crm"}},
		{2, "-f FILE", []string{"apply"}},
		{2, `unknown field "colour"`, []string{"recipients", "create", "-f", h.write("bad.yaml", "colour: red")}},
		{2, "unknown key", []string{"apply", "-f", h.write("key.yaml", "recipient: {}")}},
		{2, "already defined", []string{"apply", "-f", h.write("twice.yaml", "email: {}\nemail: {}")}},
		{2, "SECRET is not set", []string{"apply", "-f", h.write("env.yaml", `smtp: {password: "${env:SECRET}"}`)}},
		{3, `recipient "none" does not exist`, []string{"recipients", "get", "none"}},
		{3, "does not exist", []string{"deliveries", "retry", "crm/a1~none"}},
		{4, "is taken", []string{"recipients", "create", "--name", "crm", "--url", "https://crm.example/hook", "--event",
			"support_conference_end"}},
		{4, "changed by someone else", []string{"recipients", "update", "crm", "--timeout", "3s", "--etag", "stale"}},
	} {
		code, out, errors := h.run("", x.args...)
		if code != x.code || !strings.Contains(errors, x.says) || out != "" {
			t.Errorf("outbound %s: exit %d, want %d with %q\n%s%s", strings.Join(x.args, " "), code, x.code, x.says, out, errors)
		}
	}
	h.env["OUTBOUND_TOKEN"] = "wrong"
	if code, _, errors := h.run("", "status"); code != 1 || !strings.Contains(errors, "OUTBOUND_TOKEN") {
		t.Errorf("a wrong token: exit %d, %s", code, errors)
	}
	h.env["OUTBOUND_TOKEN"] = ""
	if code, _, errors := h.run("", "status"); code != 2 || !strings.Contains(errors, "no token") {
		t.Errorf("no token: exit %d, %s", code, errors)
	}
	h.env["OUTBOUND_URL"], h.env["OUTBOUND_TOKEN"] = "127.0.0.1:1", "x"
	if code, _, errors := h.run("", "status"); code != 1 || !strings.Contains(errors, "reach http://127.0.0.1:1: ") {
		t.Errorf("nobody there: exit %d, %s", code, errors)
	}
}

func TestAnEventCanBeFollowedByTheCommandLine(t *testing.T) {
	h := open(t)
	h.must("recipients", "create", "--name", "CRM", "--url", "http://127.0.0.1:9/hook", "--event", "support_conference_end", "--disabled",
		"--while-disabled", "hold")
	out := h.must("appliances", "add", "a1", "-o", "json")
	var credentials map[string]string
	if err := json.Unmarshal([]byte(out), &credentials); err != nil || len(credentials) != 4 || credentials["token"] == "" ||
		credentials["user"] == "" {
		t.Fatalf("credentials: %v, %s", err, out)
	}
	h.env["OUTBOUND_TOKEN"], credentials["admin"] = credentials["token"], h.env["OUTBOUND_TOKEN"]
	h.until(says(`"eventId": "a1~e-1"`), "events", "publish", "--appliance", "a1", "--event", "support_conference_end", "--id", "e-1",
		"-o", "json")
	if code, _, _ := h.run("", "events", "list"); code != 1 {
		t.Errorf("an appliance may list events: exit %d", code)
	}
	h.env["OUTBOUND_TOKEN"] = credentials["admin"]
	if out = h.must("events", "publish", "--appliance", "a1", "--event", "support_conference_end", "--id",
		"e-1"); !strings.Contains(out, "yes") {
		t.Errorf("a repeat is no duplicate:\n%s", out)
	}
	code, _, errors := h.run(`{"id":"e-2"}`, "events", "publish", "-f", "-")
	if code != 1 || !strings.Contains(errors, "  source: ") || !strings.Contains(errors, "  type: ") {
		t.Errorf("an event without source and type: exit %d\n%s", code, errors)
	}
	h.until(func(_ int, out string) bool { return strings.Count(out, "\n") == 2 && strings.Contains(out, "MISSING") }, "events", "list",
		"--decision", "rejected")
	h.until(says("WAITING"), "deliveries", "list", "--event", "e-1")
	h.until(func(_ int, out string) bool {
		return strings.Contains(strings.Join(strings.Fields(out), " "), "crm PAUSED - 1 ")
	}, "status")
	if out = h.must("deliveries", "retry", "crm/a1~e-1", "-o", "json"); !strings.Contains(out, `"queued": 1`) {
		t.Error(out)
	}
	if out = h.must("simulate", "--appliances", "2", "--rate", "200", "--events", "20", "-o", "json"); !strings.Contains(out,
		`"accepted": 20`) {
		t.Error(out)
	}
}
