package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// refusedByTheServer has a fault in every document but the first, and none that can be seen without the server.
const refusedByTheServer = `
eventTypes: [{id: backup_finished, displayName: Backup finished, email: true, variables: [{name: size, example: "1"}]}]
customFields: [{codeName: region, displayName: Region}]
recipients:
  - id: fine
    displayName: Fine
    eventTypes: [backup_finished]
    email: {addresses: [a@example.com], subject: "%SIZE% in %CUSTOM_REGION%"}
---
smtp: {fromAddress: "bad@@x"}
email: {timeZone: Europe/Nowhere}
---
recipients:
  - id: mail
    displayName: Mail
    eventTypes: [support_conference_end, nope]
    filter: "event.("
    email: {addresses: ["bad@@x"], subject: "%NOPE%"}
  - displayName: Hook
    eventTypes: [support_conference_end]
    http: {url: nonsense, headers: {Host: x}}
  - displayName: crm
    id: other
    eventTypes: [support_conference_end]
    http: {url: "https://other.example/"}
  - id: crm
    http: {timeout: 999s}
---
eventTypes: [{id: support_conference_end, displayName: Mine}]
appliances: [{id: outbound-test}]
`

func TestADryRunFindsAllThatApplyWouldBeRefusedFor(t *testing.T) {
	h := open(t)
	h.must("recipients", "create", "--name", "CRM", "--url", "https://crm.example/hook", "--event", "support_conference_end")
	before := h.must("export")
	file := h.write("x.yaml", refusedByTheServer)
	code, out, errors := h.run("", "apply", "-f", file, "--dry-run", "--exit-code")
	if code != 1 || !strings.Contains(errors, "outbound: 12 fields are not valid, and nothing was changed:\n") {
		t.Errorf("exit %d\n%s%s", code, out, errors)
	}
	for _, line := range []string{
		"document 2, smtp (smtp settings), fromAddress: ", "document 2, email (email settings), timeZone: ",
		"document 3, recipients[0] (recipient mail), eventTypes[1]: ", "document 3, recipients[0] (recipient mail), filter: ",
		"document 3, recipients[0] (recipient mail), email.addresses[0]: ", "document 3, recipients[0] (recipient mail), email.subject: ",
		`document 3, recipients[1] (recipient "Hook"), http.url: `, `document 3, recipients[1] (recipient "Hook"), http.headers["Host"]: `,
		`document 3, recipients[2] (recipient other): displayName "crm" is taken`, "document 3, recipients[3] (recipient crm), http.timeout: ",
		"document 4, eventTypes[0] (event type support_conference_end): ", "document 4, appliances[0] (appliance outbound-test), id: ",
	} {
		if !strings.Contains(errors, "  "+file+", "+line) {
			t.Errorf("%q is not told:\n%s", line, errors)
		}
	}
	if strings.Contains(errors, "document 1") {
		t.Errorf("what comes with the file counts as unknown:\n%s", errors)
	}
	if after := h.must("export"); after != before {
		t.Errorf("a dry run changed something:\n%s\n%s", before, after)
	}
	code, out, _ = h.run("", "apply", "-f", file, "--dry-run", "-o", "json")
	if code != 1 || !strings.Contains(out, `"field": "http.url"`) || !strings.Contains(out, `"faults"`) {
		t.Errorf("-o json: exit %d\n%s", code, out)
	}
}

func TestApplyLooksAtAllFilesHoweverOneIsWritten(t *testing.T) {
	h := open(t)
	bad := h.write("a.yaml", "recipients:\n  - {displayName: One, colour: red}\n  - {displayName: Two, eventTypes: [nope], http: {url: "+
		"nonsense}}\nrecipient: {}\nsmtp: {encryption: FOO}\n")
	broken := h.write("b.yaml", "email: {}\nemail: {}\n")
	code, out, errors := h.run("", "apply", "-f", bad, "-f", broken, "--dry-run")
	if code != 1 || !strings.Contains(errors, "6 fields are not valid") {
		t.Errorf("exit %d\n%s%s", code, out, errors)
	}
	for _, text := range []string{
		`document 1, recipients[0] (recipient "One"): unknown field "colour"`, "document 1, recipient: unknown key", "already defined",
		`document 1, smtp (smtp settings): encryption: "FOO" is not known: use NONE, STARTTLS, TLS`,
		`recipients[1] (recipient "Two"), eventTypes[0]: `, `recipients[1] (recipient "Two"), http.url: `,
	} {
		if !strings.Contains(errors, text) {
			t.Errorf("%q is not told:\n%s", text, errors)
		}
	}
	h.must("recipients", "create", "--name", "CRM", "--url", "https://crm.example/hook", "--event", "support_conference_end")
	taken := h.write("c.yaml", "recipients: [{id: two, displayName: CRM, eventTypes: [support_conference_end], http: {url: "+
		"\"https://x.example/\"}}]")
	if code, _, errors := h.run("", "apply", "-f", taken, "--dry-run"); code != 4 || !strings.Contains(errors, "is taken") {
		t.Errorf("a taken name alone: exit %d\n%s", code, errors)
	}
	if code, out, errors := h.run("", "apply", "-f", bad); out != "" || code != 1 ||
		!strings.Contains(errors, "5 fields are not valid, and nothing was changed") {
		t.Errorf("without --dry-run: exit %d\n%s", code, errors)
	}
}

func TestWhatIsTooMuchToBeCheckedAtOnceIsAppliedAllTheSame(t *testing.T) {
	const recipients = 80
	h := open(t)
	var all strings.Builder
	all.WriteString("recipients:\n")
	for i := range recipients {
		fmt.Fprintf(&all, "- {id: mail-%02d, displayName: Mail %d, eventTypes: [support_conference_end], email: {addresses: "+
			"[a@example.com], body: %q}}\n",
			i, i, strings.Repeat("A long text. ", 4_800))
	}
	file := h.write("large.yaml", all.String())
	if code, out, errors := h.run("", "apply", "-f", file, "--dry-run"); code != 1 ||
		!strings.Contains(errors, "80 changes of 4.8 MiB are too many to validate at once") {
		t.Errorf("dry run: exit %d\n%s%s", code, out, errors)
	}
	if code, out, errors := h.run("", "apply", "-f", file); code != 0 || strings.Count(out, "recipient mail-") != recipients ||
		!strings.Contains(errors, "too many to validate at once") {
		t.Errorf("apply: exit %d\n%s%s", code, out, errors)
	}
}
