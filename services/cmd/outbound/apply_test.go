package main_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// everyKind names something of each kind, and every field that is not there by default.
const everyKind = `
eventTypes:
  - {id: backup_finished, displayName: Backup finished, product: Backup, email: true, variables: [{name: size, description: Bytes., example: "1"}]}
customFields: [{displayName: Cost Centre}, {codeName: region, displayName: Region}]
smtp:
  host: mail.example.com
  port: 2525
  encryption: TLS
  auth: XOAUTH2
  username: outbound
  fromAddress: outbound@example.com
  fromName: Outbound of Example
  adminContacts: [b@example.com, a@example.com]
  helloName: out.example.com
  oauth2: {tokenUrl: https://id.example.com/token, clientId: mailer, clientSecret: "${env:PASSWORD}", refreshToken: "${env:PASSWORD}", scopes: [mail]}
  rateLimit: {limit: 30, period: 1m}
  maxConnections: 2
  dailyNotice: {enabled: true, time: "07:30"}
email: {retryInterval: 90s, retryDuration: 36h, timeZone: Europe/Amsterdam}
appliances:
  - {id: appliance-1, displayName: Support centre, silentAfter: 2h}
  - {id: appliance-2}
recipients:
  - displayName: CRM
    whileDisabled: HOLD
    eventTypes: [support_conference_end, backup_finished]
    appliances: [appliance-2, appliance-1]
    filter: event.external_key != ""
    http:
      url: https://crm.example/hook
      sendCustomFields: true
      retryInterval: 90s
      retryDuration: 12h
      backoff: {multiplier: 3, ceiling: 2h}
      contact: {addresses: [ops@example.com], alertAfter: 10m, resendEvery: 0s}
      success: ANY_2XX
      headers: {X-Team: ops}
      auth: {oauth2: {tokenUrl: https://id.example.com/token, clientId: crm, clientSecret: "${env:PASSWORD}", scopes: [a, b]}}
      signingSecrets: [{}, {kind: ED25519}]
      maxInFlight: 4
      order: STRICT
      rateLimit: {limit: 5, period: 1s}
      timeout: 5s
      stopOnGone: true
      bodyTemplate: '{"id": {{json .Event.ID}}}'
      bodyContentType: application/vnd.example+json
  - displayName: Desk
    enabled: false
    eventTypes: [support_conference_end]
    email:
      addresses: [desk@example.com, second@example.com]
      requireExternalKey: true
      subject: "%EVENT% of %LSID%"
      body: "One\nTwo\n"
      htmlBody: "<p>%LSID%</p>"
      overrides: {support_conference_end: {subject: Ended, body: Over, htmlBody: "<b>Over</b>"}}
`

func TestApplyTwiceChangesNothingOfAnyKind(t *testing.T) {
	h := open(t)
	h.env["PASSWORD"] = "kept-in-the-environment"
	file := h.write("x.yaml", everyKind)
	first := h.must("apply", "-f", file)
	if !strings.HasSuffix(first, "7 created, 2 changed, 0 unchanged\n") || strings.Count(first, "shown only once: ") != 8 {
		t.Errorf("the first run, with two signing secrets and two appliances' credentials:\n%s", first)
	}
	if out := h.must("apply", "-f", file, "--dry-run", "--exit-code"); !strings.HasSuffix(out,
		"0 to create, 0 to change, 9 unchanged; nothing was changed\n") {
		t.Errorf("the second run finds:\n%s", out)
	}
	before := h.must("export")
	if strings.Contains(before, "kept-in-the-environment") {
		t.Errorf("a secret is exported:\n%s", before)
	}
	if out := h.must("apply", "-f", file); !strings.HasSuffix(out, "0 created, 0 changed, 9 unchanged\n") {
		t.Errorf("the second run:\n%s", out)
	}
	if after := h.must("export"); after != before {
		t.Errorf("the second run changed something:\n%s\n%s", before, after)
	}
}

func TestExportAppliedChangesNothing(t *testing.T) {
	h := open(t)
	h.env["PASSWORD"] = "p"
	h.must("apply", "-f", h.write("x.yaml", everyKind))
	for _, output := range []string{"yaml", "json"} {
		declaration := h.must("export", "-o", output)
		code, out, errors := h.run(declaration, "apply", "-f", "-", "--prune", "--dry-run", "--exit-code")
		if code != 0 || !strings.Contains(out, "0 to create, 0 to change, 9 unchanged, 0 to delete") {
			t.Errorf("-o %s: exit %d\n%s%s\n%s", output, code, out, errors, declaration)
		}
	}
	if out := h.must("export", "--kinds", "email"); strings.Contains(out, "recipients") || !strings.Contains(out, "Europe/Amsterdam") {
		t.Errorf("one kind alone:\n%s", out)
	}
	h.must("recipients", "update", "crm", "--filter", "", "--max-in-flight", "9")
	code, out, _ := h.run(h.must("export", "--kinds", "recipients"), "apply", "-f", "-", "--dry-run", "--exit-code")
	if code != 0 {
		t.Errorf("what changed since is exported as it is: exit %d\n%s", code, out)
	}
	code, out, _ = h.run("", "apply", "-f", filepath.Join(h.dir, "x.yaml"), "--dry-run", "--exit-code")
	if code != 5 || !strings.Contains(out, "http.maxInFlight: 9 -> 4") || !strings.Contains(out, "filter: ") {
		t.Errorf("drift: exit %d\n%s", code, out)
	}
}

func TestExportElsewhereNamesTheMissingSecrets(t *testing.T) {
	from := open(t)
	from.env["PASSWORD"] = "p"
	from.must("apply", "-f", from.write("x.yaml", everyKind))
	declaration := from.must("export")

	to := open(t)
	file := to.write("export.yaml", declaration)
	code, out, errors := to.run("", "apply", "-f", file)
	for _, field := range []string{
		"(smtp settings), oauth2.clientSecret: is neither in the file nor stored", "(smtp settings), oauth2.refreshToken: ",
		"(recipient crm), http.auth.oauth2.clientSecret: ", "(recipient crm), http.signingSecrets[",
		"5 fields are not valid, and nothing was changed",
	} {
		if !strings.Contains(errors, field) {
			t.Errorf("%q is not named: exit %d\n%s%s", field, code, out, errors)
		}
	}
	if code != 1 || strings.Contains(to.must("export"), "crm") {
		t.Errorf("exit %d, and something was changed:\n%s", code, out)
	}
	if code, out, errors := to.run("", "apply", "-f", file, "--dry-run"); code != 1 || strings.Count(out, ": missing: ") != 5 ||
		strings.Count(errors, "is neither in the file nor stored") != 5 {
		t.Errorf("dry run: exit %d\n%s%s", code, out, errors)
	}
	to.env["PASSWORD"], to.env["SIGN"] = "p", "whsec_"+strings.Repeat("QUJD", 11)
	var whole strings.Builder
	for line := range strings.Lines(declaration) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " -"))]
		switch {
		case strings.Contains(line, "clientSecretSet:"):
			whole.WriteString(strings.ReplaceAll(indent, "-", " ") + "clientSecret: ${env:PASSWORD}\n")
		case strings.Contains(line, "refreshTokenSet:"):
			whole.WriteString(indent + "refreshToken: ${env:PASSWORD}\n")
		case strings.Contains(line, "kind: HMAC_SHA256"):
			whole.WriteString(indent + "secret: ${env:SIGN}\n")
		case strings.Contains(line, "kind: ED25519"):
			whole.WriteString(line)
			continue
		}
		if strings.Contains(line, "- id: ss-") {
			// A new secret is made for what has no id.
			line = strings.Replace(line, line[strings.Index(line, "id: "):], "expireTime: null\n", 1)
		} else if strings.Contains(line, "expireTime: null") {
			continue
		}
		whole.WriteString(line)
	}
	file = to.write("whole.yaml", whole.String())
	if out := to.must("apply", "-f", file); strings.Count(out, "shown only once: whsk_") != 1 {
		t.Errorf("one key is made anew:\n%s", out)
	}
	if out := to.must("apply", "-f", file, "--dry-run", "--exit-code"); !strings.Contains(out, "0 to create, 0 to change") {
		t.Errorf("the second run finds:\n%s\n%s", out, whole.String())
	}
}

// meddle answers as the server does, but has somebody else change things before the first change is let through.
func (h *fixture) meddle(act func()) {
	h.t.Helper()
	to, err := url.Parse(h.env["OUTBOUND_URL"])
	if err != nil {
		h.t.Fatal(err)
	}
	var done atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(to)
	direct := h.env["OUTBOUND_URL"]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && done.CompareAndSwap(false, true) {
			h.env["OUTBOUND_URL"] = direct
			act()
		}
		proxy.ServeHTTP(w, r)
	}))
	h.t.Cleanup(func() {
		server.Close()
		h.env["OUTBOUND_URL"] = direct
		if !done.Load() {
			h.t.Error("nothing was changed, so nobody could meddle")
		}
	})
	h.env["OUTBOUND_URL"] = server.URL
}

func TestConflictingEditsConflict(t *testing.T) {
	const declared = `
eventTypes: [{id: backup_finished, displayName: Backup finished}]
customFields: [{codeName: region, displayName: Region}]
smtp: {host: mail.example.com, fromAddress: outbound@example.com}
email: {timeZone: Europe/Amsterdam}
appliances: [{id: appliance-1, displayName: Support centre}]
recipients: [{id: crm, displayName: CRM, eventTypes: [support_conference_end], http: {url: "https://crm.example/hook"}}]
`
	for name, x := range map[string]struct{ mine, theirs string }{
		"recipient":    {`recipients: [{id: crm, displayName: Mine}]`, `recipients: [{id: crm, http: {timeout: 7s}}]`},
		"smtp":         {`smtp: {host: mine.example.com}`, `smtp: {fromName: Theirs}`},
		"email":        {`email: {timeZone: Europe/London}`, `email: {retryInterval: 70s}`},
		"event type":   {`eventTypes: [{id: backup_finished, displayName: Mine}]`, `eventTypes: [{id: backup_finished, product: Theirs}]`},
		"custom field": {`customFields: [{codeName: region, displayName: Mine}]`, `customFields: [{codeName: region, displayName: Theirs}]`},
		"appliance":    {`appliances: [{id: appliance-1, displayName: Mine}]`, `appliances: [{id: appliance-1, silentAfter: 2h}]`},
		"deletion":     {`recipients: []`, `recipients: [{id: crm, http: {timeout: 7s}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			h.must("apply", "-f", h.write("declared.yaml", declared))
			mine, theirs := h.write("mine.yaml", x.mine), h.write("theirs.yaml", x.theirs)
			h.meddle(func() { h.must("apply", "-f", theirs) })
			code, out, errors := h.run("", "apply", "-f", mine, "--prune", "--yes")
			if code != 4 || !strings.Contains(errors, "changed by someone else") {
				t.Errorf("exit %d\n%s%s", code, out, errors)
			}
			if out := h.must("apply", "-f", theirs); !strings.HasSuffix(out, "0 created, 0 changed, 1 unchanged\n") {
				t.Errorf("their change is lost:\n%s", out)
			}
		})
	}
}

func TestPruneDeletesWhatIsNotDeclaredAndNothingElse(t *testing.T) {
	h := open(t)
	h.env["PASSWORD"] = "p"
	h.must("apply", "-f", h.write("x.yaml", everyKind))
	keep := h.write("keep.yaml", "recipients: [{id: desk}]\ncustomFields: []\n")

	code, out, _ := h.run("", "apply", "-f", keep, "--prune", "--dry-run", "--exit-code")
	if code != 5 || !strings.Contains(out, "to delete: recipient crm\n") ||
		!strings.Contains(out, "1 unchanged, 3 to delete; nothing was changed") {
		t.Fatalf("dry run: exit %d\n%s", code, out)
	}
	if strings.Contains(out, "appliance") || strings.Contains(out, "event type") {
		t.Errorf("a kind is pruned that the file does not declare:\n%s", out)
	}
	if code, out, errors := h.run("", "apply", "-f", keep, "--prune"); code != 2 || !strings.Contains(errors, "--yes") ||
		!strings.Contains(out, "  recipient crm\n") {
		t.Errorf("no terminal: exit %d\n%s%s", code, out, errors)
	}
	if code, _, errors := h.run("recipients: []", "apply", "-f", "-", "--prune"); code != 2 ||
		!strings.Contains(errors, "standard input is in use") {
		t.Errorf("the file is standard input: exit %d, %s", code, errors)
	}
	if code, _, errors := h.run("", "apply", "-f", keep, "--prune", "-o", "json"); code != 2 || !strings.Contains(errors, "--yes") {
		t.Errorf("with -o json: exit %d, %s", code, errors)
	}
	if code, out, _ := h.run("no\n", "apply", "-f", keep, "--prune"); code != 0 || !strings.HasSuffix(out, "nothing was changed\n") {
		t.Errorf("no: exit %d\n%s", code, out)
	}
	if code, out, errors := h.run("yes\n", "apply", "-f", keep, "--prune"); code != 0 ||
		!strings.HasSuffix(out, "0 created, 0 changed, 1 unchanged, 3 deleted\n") {
		t.Errorf("yes: exit %d\n%s%s", code, out, errors)
	}
	left := h.must("export")
	for text, want := range map[string]bool{"id: desk": true, "id: crm": false, "codeName": false, "id: appliance-1": true,
		"id: backup_finished": true} {
		if strings.Contains(left, text) != want {
			t.Errorf("%q is there: %t, want %t\n%s", text, !want, want, left)
		}
	}
	all := h.write("none.yaml", "recipients: []\nappliances: []\neventTypes: []\ncustomFields: []\n")
	if out := h.must("apply", "-f", all, "--prune", "--yes"); !strings.HasSuffix(out, "4 deleted\n") {
		t.Errorf("all: the type goes behind the recipient\n%s", out)
	}
	if out := h.must("apply", "-f", all, "--prune", "--yes"); !strings.HasSuffix(out, "0 unchanged, 0 deleted\n") {
		t.Errorf("all, twice:\n%s", out)
	}
}

func TestApplyReadsAFolder(t *testing.T) {
	h := open(t)
	dir := filepath.Join(h.dir, "declarations")
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"1-types.yml": "eventTypes: [{id: backup_finished, displayName: Backup finished}]",
		"2.json":      `{"customFields": [{"displayName": "Region"}]}`,
		"README.md":   "no declaration", "below/3.yaml": "customFields: [{displayName: Below}]", "secret.txt": "hush\n",
		"4-crm.yaml": "recipients: [{displayName: CRM, eventTypes: [backup_finished], http: {url: \"https://crm.example/\", auth: {bearer: " +
			"{token: \"${file:secret.txt}\"}}}}]",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	more := h.write("more.yaml", "customFields: [{displayName: More}]")
	if out := h.must("apply", "-f", dir, "-f", more); !strings.HasSuffix(out, "4 created, 0 changed, 0 unchanged\n") {
		t.Error(out)
	}
	if code, _, errors := h.run("", "apply", "-f", filepath.Join(dir, "below", "none")); code != 2 ||
		!strings.Contains(errors, "no such file") {
		t.Errorf("no such folder: exit %d, %s", code, errors)
	}
	if code, _, errors := h.run("", "apply", "-f", h.t.TempDir()); code != 2 || !strings.Contains(errors, "no .yaml, .yml or .json file in") {
		t.Errorf("an empty folder: exit %d, %s", code, errors)
	}
}
