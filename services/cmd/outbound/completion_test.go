package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/cli"
)

func TestShellsAreOfferedWhatIsThere(t *testing.T) {
	h := open(t)
	h.must("apply", "-f", h.write("x.yaml", `
customFields: [{codeName: region, displayName: Region}]
appliances: [{id: appliance-1, displayName: Support centre}]
recipients: [{id: crm, displayName: The CRM, eventTypes: [support_conference_end], http: {url: "https://crm.example/hook"}}]
`))
	for line, want := range map[string]string{
		"recipients get ":                          "crm\tThe CRM\n",
		"recipients disable c":                     "crm\tThe CRM\n",
		"recipients create --event support_confer": "support_conference_end\t",
		"recipients create --format ":              "json_binary\n",
		"deliveries list --recipient ":             "crm\tThe CRM\n",
		"deliveries list --state re":               "retrying\n",
		"deliveries list --class http":             "http_5xx\n",
		"deliveries get ":                          "crm/\n",
		"deliveries retry ":                        "crm/\n",
		"events publish --appliance app":           "appliance-1\tSupport centre\n",
		"appliances rotate ":                       "appliance-1\tSupport centre\n",
		"custom-fields delete ":                    "region\tRegion\n",
		"event-types get support_conference_b":     "support_conference_begin\t",
		"export --kinds ":                          "recipients\n",
		"status -o ":                               "yaml\n",
		"recip":                                    "recipients\t",
	} {
		// A word that is still empty is an argument of its own.
		code, out, errors := h.run("", append([]string{"__complete"}, strings.Split(line, " ")...)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%q offers, with exit %d:\n%s%s", line, code, out, errors)
		}
	}
	if _, out, _ := h.run("", "__complete", "recipients", "get", "crm", ""); strings.Contains(out, "The CRM") {
		t.Errorf("a second recipient is offered:\n%s", out)
	}
	h.env["OUTBOUND_TOKEN"] = "wrong"
	if code, out, errors := h.run("", "__complete", "recipients", "get", ""); code != 0 || strings.Contains(out, "crm") ||
		strings.Contains(errors, "token") {
		t.Errorf("with a wrong token: exit %d\n%s%s", code, out, errors)
	}
}

func TestEachCommandHasAManualPageWithExamples(t *testing.T) {
	dir := t.TempDir()
	h := &fixture{t: t, dir: dir, env: map[string]string{}}
	t.Setenv("SOURCE_DATE_EPOCH", "1795255200")
	h.must("man", "--dir", filepath.Join(dir, "man1"))
	n := 0
	for path, c := range leaves(cli.New(cli.Options{})) {
		if path == "help" {
			continue
		}
		page, err := os.ReadFile(filepath.Join(dir, "man1", "outbound-"+strings.ReplaceAll(path, " ", "-")+".1"))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		n++
		if !strings.Contains(string(page), ".SH EXAMPLE") || !strings.Contains(string(page), "Nov 2026") {
			t.Errorf("%s: its page has no example, or another date:\n%s", path, page)
		}
		if !strings.Contains(c.Example, "outbound "+path) {
			t.Errorf("the examples of %q are of something else: %q", path, c.Example)
		}
	}
	if n < 45 {
		t.Errorf("there are only %d pages", n)
	}
}
