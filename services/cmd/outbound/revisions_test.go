package main_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/cli"
)

func TestRollBackShowsTheDifferenceAndAsks(t *testing.T) {
	h := open(t)
	one, two := h.write("one.password", "canary-one\n"), h.write("two.password", "canary-two\n")
	h.must("recipients", "create", "--name", "CRM", "--url", "https://crm.example/hook", "--event", "support_conference_end",
		"--basic-user", "u", "--password-file", one)
	h.must("recipients", "update", "crm", "--timeout", "5s", "--basic-user", "u", "--password-file", two)
	const resource = "recipients/crm"
	revisions := func() int { return strings.Count(h.must("revisions", "list", resource), "\n") - 1 }
	if n := revisions(); n != 2 {
		t.Fatalf("%d revisions, want 2:\n%s", n, h.must("revisions", "list", resource))
	}
	dryRun := h.must("revisions", "roll-back", resource, "previous", "--dry-run")
	for _, want := range []string{`http.timeout`, `"5s"`, `"15s"`, "http.auth.basic.password  (secret)  (secret from that revision)"} {
		if !strings.Contains(dryRun, want) {
			t.Errorf("what would change does not name %s:\n%s", want, dryRun)
		}
	}
	code, out, _ := h.run("no\n", "revisions", "roll-back", resource, "previous")
	if code != 0 || !strings.Contains(out, "nothing was changed") || revisions() != 2 {
		t.Errorf("exit %d after a no, %d revisions:\n%s", code, revisions(), out)
	}
	for want, args := range map[int][]string{
		cli.ExitUsage:    {"revisions", "roll-back", resource, "previous"},
		cli.ExitNotFound: {"revisions", "roll-back", resource, "999", "--yes"},
	} {
		if code, out, _ := h.run("", args...); code != want || revisions() != 2 {
			t.Errorf("outbound %s: exit %d, want %d\n%s", strings.Join(args, " "), code, want, out)
		}
	}
	if code, _, _ := h.run("yes\n", "revisions", "roll-back", resource, "previous", "-o", "json"); code != cli.ExitUsage {
		t.Errorf("a question was asked in the midst of JSON: exit %d", code)
	}
	if code, out, _ := h.run("yes\n", "revisions", "roll-back", resource, "previous"); code != 0 || revisions() != 3 {
		t.Errorf("exit %d after a yes:\n%s", code, out)
	}
	for _, out := range []string{dryRun, h.must("revisions", "list"), h.must("revisions", "show", resource, "latest"),
		h.must("revisions", "list", "-o", "json")} {
		if strings.Contains(out, "canary") {
			t.Errorf("a secret is shown:\n%s", out)
		}
	}
	if latest := h.must("revisions", "show", resource, "latest"); !strings.Contains(latest, "rolled back to") ||
		!strings.Contains(latest, `"changed"`) {
		t.Errorf("the last revision is\n%s", latest)
	}
	if got := h.must("recipients", "get", "crm", "-o", "json"); !strings.Contains(got, `"15s"`) {
		t.Errorf("it is %s", got)
	}
}
