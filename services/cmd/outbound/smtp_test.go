package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/smtptest"
)

func TestTheRelayIsToldOfAndTried(t *testing.T) {
	h := open(t)
	if out := h.must("status"); !strings.Contains(out, "SMTP relay: No SMTP relay configured") {
		t.Errorf("unset:\n%s", out)
	}
	if code, _, errors := h.run("", "settings", "smtp", "test", "--to", "me@example.com"); code == 0 ||
		!strings.Contains(errors, "no SMTP relay or from address") {
		t.Errorf("unset, a test mail: exit %d, %s", code, errors)
	}
	srv := smtptest.Start(t, smtptest.Options{})
	set := func(host string) {
		t.Helper()
		h.must("settings", "smtp", "set", "--host", host, "--port", fmt.Sprint(srv.Port()), "--encryption", "none", "--from-address",
			"outbound@example.com",
			"--admin-contact", "root@example.com", "--rate", "100", "--rate-period", "1m", "--max-connections", "2", "--hello-name",
			"outbound.example.com")
	}
	set(srv.Host())
	h.until(says("SMTP relay: OK"), "status")
	if out := h.must("settings", "smtp", "test", "--to", "me@example.com", "--to", "you@example.com"); strings.Count(out,
		"accepted by the relay") != 2 {
		t.Error(out)
	}
	h.must("settings", "smtp", "test")
	for _, to := range []string{"me@example.com", "you@example.com", "root@example.com"} {
		if n := srv.CountFor(to); n != 1 {
			t.Errorf("%s got %d mails", to, n)
		}
	}
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{"you@example.com": {Code: 550, Message: "no such user"}}})
	code, out, _ := h.run("", "settings", "smtp", "test", "--to", "me@example.com", "--to", "you@example.com")
	if code != 1 || !strings.Contains(out, "550") || !strings.Contains(out, "no such user") ||
		!strings.Contains(out, "accepted by the relay") {
		t.Errorf("with one refused: exit %d\n%s", code, out)
	}
	set("localhost.invalid")
	h.until(says("is not found: check host"), "status")
}
