package main_test

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/allinone"
)

func TestVersionIsToldInEachFormWithoutAServer(t *testing.T) {
	h := &fixture{t: t, env: map[string]string{}}
	for want, args := range map[string][]string{
		"outbound version test\n":         {"version"},
		"{\n  \"version\": \"test\"\n}\n": {"version", "-o", "json"},
		"version: test\n":                 {"version", "-o", "yaml"},
	} {
		if out := h.must(args...); out != want {
			t.Errorf("outbound %s: %q, want %q", strings.Join(args, " "), out, want)
		}
	}
	if code, _, errors := h.run("", "version", "-o", "xml"); code != 2 || !strings.Contains(errors, "table, json or yaml") {
		t.Errorf("-o xml: exit %d, %s", code, errors)
	}
}

func TestARateThatIsNoneIsRefused(t *testing.T) {
	h := open(t)
	for _, verb := range []string{"create", "preview"} {
		code, _, errors := h.run("", "replays", verb, "--recipient", "crm", "--rate", "0")
		if code != 2 || !strings.Contains(errors, "--rate must be 1 to 1000 deliveries per second, not 0") {
			t.Errorf("replays %s --rate 0: exit %d, %s", verb, code, errors)
		}
	}
	if out := h.must("replays", "list", "-o", "json"); strings.Contains(out, `"id"`) {
		t.Errorf("a replay was made:\n%s", out)
	}
	h.must("replays", "preview", "--recipient", "crm", "--since", "1h")
}

// TestAFailedStartNamesTheFlagInQuestion starts a second time, with what the first has taken.
func TestAFailedStartNamesTheFlagInQuestion(t *testing.T) {
	first := open(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, x := range map[string]struct{ data, nats, says, not string }{
		"data": {filepath.Join(first.dir, "data"), "127.0.0.1:0", "another process uses the directory", "--nats"},
		"nats": {t.TempDir(), taken.Addr().String(), "choose another", "--data"},
	} {
		o := allinone.DefaultOptions()
		o.Data, o.HTTP, o.GRPC, o.NATS, o.Telemetry.LogLevel = x.data, "127.0.0.1:0", "127.0.0.1:0", x.nats, "error"
		s, err := allinone.New(o)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Run(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "--"+name+" ") || !strings.Contains(err.Error(), x.says) ||
			strings.Contains(err.Error(), x.not) {
			t.Errorf("a start with %s of another: %v", name, err)
		}
	}
}

// apiCall posts to the REST API and gives the answer, whatever it is.
func apiCall(t *testing.T, h *fixture, path, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.env["OUTBOUND_URL"]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(h.env["OUTBOUND_TOKEN"]))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestARevisionThatIsNotThereIsToldInASentence(t *testing.T) {
	h := open(t)
	h.must("custom-fields", "create", "region", "--name", "Region")
	a := apiCall(t, h, "/v1/revisions:rollBack", `{"resource": "recipients/zzz", "revision": "1"}`)
	if !strings.Contains(a, "recipients/zzz has no revision 1, or it is no longer stored") || strings.Contains(a, `\"`) {
		t.Errorf("answered %s", a)
	}
}
