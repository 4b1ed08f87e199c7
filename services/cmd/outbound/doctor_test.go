package main_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/allinone"
	"github.com/outbound-events/outbound/services/cli"
)

func TestDoctorFindsTheFaultAndPinsTheRoot(t *testing.T) {
	h := open(t, func(o *allinone.Options) { o.AllowEgress = []string{"127.0.0.0/8"} })
	tests := make(chan string, 10)
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		tests <- r.Header.Get("Outbound-Test")
	}))
	defer receiver.Close()
	h.must("recipients", "create", "--name", "CRM", "--url", receiver.URL, "--event", "support_conference_end")

	code, out, errors := h.run("", "recipients", "doctor", "crm")
	if code != cli.ExitFailed || !strings.Contains(out, "✗  TLS") || !strings.Contains(out, "SHA-256") ||
		!strings.Contains(errors, "failed at TLS") {
		t.Fatalf("exit %d\n%s%s", code, out, errors)
	}
	if code, out, _ := h.run("no\n", "recipients", "doctor", "crm", "--pin"); code != cli.ExitFailed ||
		strings.Contains(out, "certificate added") {
		t.Errorf("a root was pinned against a person's will: exit %d\n%s", code, out)
	}
	if code, _, errors := h.run("", "recipients", "doctor", "crm", "--pin"); code != cli.ExitUsage || !strings.Contains(errors, "--yes") {
		t.Errorf("nobody answered: exit %d, %s", code, errors)
	}
	code, out, errors = h.run("yes\n", "recipients", "doctor", "crm", "--pin", "--post")
	if code != cli.ExitOK || !strings.Contains(out, "✓  STATUS") || <-tests != "1" {
		t.Errorf("pinned: exit %d\n%s%s", code, out, errors)
	}
	if out := h.must("recipients", "doctor", "crm", "-o", "json"); !strings.Contains(out, `"healthy": true`) {
		t.Errorf("printed %s", out)
	}
}

func TestDoctorNamesTheEgressRule(t *testing.T) {
	h := open(t)
	if out := h.must("recipients", "create", "--name", "CRM", "--url", "https://127.0.0.1:1/", "--event",
		"support_conference_end"); !strings.Contains(out, "warning: ") {
		t.Errorf("saved without a warning: %s", out)
	}
	if code, out, _ := h.run("", "recipients", "doctor", "crm"); code != cli.ExitFailed ||
		!strings.Contains(out, "--allow-egress 127.0.0.1/32") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
