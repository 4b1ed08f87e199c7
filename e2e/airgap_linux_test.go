package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestAnAirGappedInstallationDialsNothingOutside uses all of the all-in-one on a host without a network: events by NATS and by POST, an
// HTTP recipient with TLS, a mail relay, alerts, the console, the command line, metrics and a backup. In the second namespace every
// packet that would leave is counted: none does, until the test itself has names looked up and dials.
func TestAnAirGappedInstallationDialsNothingOutside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("a network namespace needs ip (iproute2)")
	}
	for _, kind := range []string{noRoutes, sunk} {
		t.Run(kind, func(t *testing.T) {
			if !inNamespace(t, kind) {
				return
			}
			var out *leaving
			if kind == sunk {
				out = countLeaving(t)
			}
			g := newAirGap(t)
			g.use(t)
			if kind == sunk {
				g.nothingLeft(t, out)
				return
			}
			if c, err := net.DialTimeout("tcp", beyondProbe, time.Second); err == nil {
				_ = c.Close()
				t.Error("the namespace has a route")
			}
			g.h.Stop(t)
		})
	}
}

// airGap is an all-in-one with what it needs on loopback.
type airGap struct {
	h       *harness.System
	site    *harness.Receiver
	relay   *smtptest.Server
	a       *harness.Appliance
	web, up string
}

func newAirGap(t *testing.T) *airGap {
	t.Helper()
	ca := smtptest.NewCA(t)
	g := &airGap{site: harness.NewReceiver(t), relay: smtptest.Start(t, smtptest.Options{Certificate: ca.Issue(t, "127.0.0.1")})}
	g.h = harness.Start(t, harness.AllInOne)
	g.h.REST.Do(t, http.MethodPatch, "/v1/settings/smtp", harness.Object{
		"host": g.relay.Host(), "port": g.relay.Port(), "encryption": "STARTTLS", "caCertificatePem": ca.PEM,
		"fromAddress": "outbound@example.com", "adminContacts": []string{"admin@example.com"},
	})
	g.a = g.h.AddAppliance(t, "gap-1")
	over := harness.Object{"caCertificatePem": g.site.CAPEM(), "signingSecrets": []any{harness.Object{}}}
	g.web = g.h.AddRecipient(t, webhook("Web", g.site.SecureURL("web"), []string{ended}, over))
	g.site.Answer("down", http.StatusInternalServerError)
	g.h.AddRecipient(t, webhook("Down", g.site.URL("down"), []string{ended}, harness.Object{"retryInterval": "1s",
		"contact": harness.Object{"addresses": []string{"ops@example.com"}, "alertAfter": "1s"}}))
	g.up = g.h.AddRecipient(t, harness.Object{"displayName": "Mail", "eventTypes": []string{ended},
		"email": harness.Object{"addresses": []string{"desk@example.com"}, "subject": "%LSID%", "body": "ended"}})
	return g
}

// use uses everything once.
func (g *airGap) use(t *testing.T) {
	t.Helper()
	publish(t, g.a, harness.NewEvent(g.a.ID, "by-nats", ended, nil))
	if _, err := g.a.Post(harness.NewEvent(g.a.ID, "by-post", ended, nil)); err != nil {
		t.Fatal(err)
	}
	arrived(t, g.site, "web", 2)
	settled(t, g.h, []string{g.web, g.up}, map[string]int{"DELIVERED": 2})
	waittest.NoError(t, "the mails of the recipient and the alert", func() error {
		if desk, ops := g.relay.CountFor("desk@example.com"), g.relay.CountFor("ops@example.com"); desk < 2 || ops < 1 {
			return fmt.Errorf("%d and %d are there", desk, ops)
		}
		return nil
	})
	waittest.NoError(t, "the certificates of the receiver and the relay to be noted", func() error {
		s := fmt.Sprint(g.h.REST.Do(t, http.MethodGet, "/v1/status", nil)["expiries"])
		if !strings.Contains(s, "receiver_certificate") || !strings.Contains(s, "relay_certificate") {
			return errors.New(s)
		}
		return nil
	})
	g.usePages(t)
	for _, x := range []struct{ args, says string }{
		{"status", "gap-1"},
		{"recipients doctor " + g.web + " --post", "200"},
		{"deliveries list", "DELIVERED"},
		{"backup --with queue,history -f " + filepath.Join(t.TempDir(), "gap.backup"), ""},
	} {
		out, err := g.h.Outbound(t.Context(), strings.Fields(x.args)...)
		if err != nil || !strings.Contains(out, x.says) {
			t.Errorf("outbound %s: %v\n%s", x.args, err, out)
		}
	}
	for path, says := range map[string]string{"/metrics": "outbound_expiry", "/openapi.json": `"openapi"`, "/healthz": ""} {
		got, err := g.h.REST.Call(http.MethodGet, path, nil)
		if err != nil || got.Status != http.StatusOK || !strings.Contains(string(got.Body), says) {
			t.Errorf("%s: %d %v", path, got.Status, err)
		}
	}
}

// usePages signs in and opens pages, none of which may have a browser load anything from elsewhere.
func (g *airGap) usePages(t *testing.T) {
	t.Helper()
	const password = "correct horse battery"
	g.h.REST.Do(t, http.MethodPost, "/v1/users", harness.Object{"name": "gap-admin", "role": "ADMIN", "password": password})
	cookie := signIn(t, g.h, "gap-admin", password)
	loads := regexp.MustCompile(`(?i)<(?:script|link|img|iframe|source|object|form)\b[^>]*\b(?:src|href|data|action)="(?:https?:)?//[^"]*"`)
	for path, says := range map[string]string{
		"/": "Down", "/health": "gap-1", "/recipients/" + g.web: "Web", "/recipients/new?channel=http": "<main", "/deliveries": "by-post",
		"/events": "by-nats", "/replays": "<main", "/settings/relay": "<main", "/settings/appliances": "gap-1", "/account": "gap-admin",
	} {
		code, body := page(t, g.h, cookie, path)
		if code != http.StatusOK || !strings.Contains(body, says) {
			t.Errorf("%s is answered %d and does not have %q", path, code, says)
		}
		if found := loads.FindString(body); found != "" {
			t.Errorf("%s loads from elsewhere: %s", path, found)
		}
	}
}

// nothingLeft checks that no packet has left, and then that those would be counted which the product and the test send.
func (g *airGap) nothingLeft(t *testing.T, out *leaving) {
	t.Helper()
	if seen := out.all(); len(seen) > 0 {
		t.Errorf("packets left for %v", seen)
	}
	// A recipient with a name has the product look it up.
	named := g.h.AddRecipient(t, webhook("Named", "https://receiver.example.com/x", []string{"support_conference_begin"}, nil))
	ctx, cancel := context.WithCancel(t.Context())
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		_, _ = g.h.Outbound(ctx, "recipients", "doctor", named) // nobody answers
	}()
	if c, err := net.DialTimeout("tcp", beyondProbe, time.Second); err == nil {
		_ = c.Close()
		t.Error("somebody answers beyond the namespace")
	}
	lookups, dial := "udp "+resolver+":53", "tcp "+beyondProbe
	waittest.NoError(t, "a look-up by the product and a dial by the test to be counted", func() error {
		if seen := out.all(); seen[lookups] == 0 || seen[dial] == 0 {
			return fmt.Errorf("packets left for %v", seen)
		}
		return nil
	})
	cancel()
	<-looked
	g.h.Stop(t)
	seen := out.all()
	t.Logf("after the control, packets left for %v", seen)
	delete(seen, lookups)
	delete(seen, dial)
	if len(seen) > 0 {
		t.Errorf("packets left for %v", seen)
	}
}
