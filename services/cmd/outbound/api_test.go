package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryCommandOfTheRESTGuideWorks runs the commands of docs/api.md in their order, as a person would in one shell.
func TestEveryCommandOfTheRESTGuideWorks(t *testing.T) {
	guide, err := os.ReadFile("../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t)
	_, lines := parse(string(guide))
	if len(lines) < 20 {
		t.Fatalf("only %d commands were found in the guide", len(lines))
	}
	// Aliases are for people at a prompt; errexit passes over `! command`, so each line is held to its status.
	var script strings.Builder
	script.WriteString("shopt -s expand_aliases\nset -u\n")
	for _, line := range lines {
		script.WriteString(line + "\n" + `status=$?; if [ $status -ne 0 ]; then echo "exit $status of:" ` + quote(line) +
			` >&2; exit 1; fi` + "\n")
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "OUTBOUND_URL="+h.env["OUTBOUND_URL"], "OUTBOUND_TOKEN="+strings.TrimSpace(h.env["OUTBOUND_TOKEN"]))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`"name":"admin"`, `"id":"ticket-system"`, `"retryInterval":"60s"`, `"displayName":"Tickets"`, "STALE_ETAG", `"field":"http.url"`,
		`"eventId":"appliance-1~e-1"`, `"attempts":[`, `"queued":1`, `"nextPageToken":"`, `{"result":{"version":`,
	} {
		if !strings.Contains(strings.ReplaceAll(string(out), `": `, `":`), want) {
			t.Errorf("no answer holds %s:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "Too late") {
		t.Error("a change with a stale etag was made")
	}
	if info, err := os.Stat(filepath.Join(h.dir, "openapi.json")); err != nil || info.Size() < 100_000 {
		t.Errorf("the document was not fetched: %v", err)
	}
}

// quote writes a text for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
