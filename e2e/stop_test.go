package e2e_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/smtptest"
)

// stopsCleanly stops everything in the middle of events: it must end with exit code 0, and after a new start every event must
// have arrived once and no more.
func stopsCleanly(t *testing.T, h *harness.System) {
	const n = 2000
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "stops-1")
	r := webhook("Stops", site.URL("stops"), []string{"support_conference_end"}, harness.Object{"retryInterval": "1s"})
	r["appliances"] = []string{a.ID}
	id := h.AddRecipient(t, r)
	flood := a.Flood(t.Context(), n, 16, "support_conference_end")
	arrived(t, site, "stops", n/4)
	h.Stop(t)
	if got := site.Distinct("stops"); got >= n {
		t.Fatalf("stopped too late: everything had arrived")
	}
	h.StartAll(t)
	keys := flood.Wait(t)
	// What the senders put back last may come only after the broker's wait: it was stopped too.
	settled(t, h, []string{id}, map[string]int{"DELIVERED": n})
	account := site.Account(keys, []string{"stops"})
	if account.Arrived != n || len(account.Lost)+len(account.Phantom)+len(account.Changed)+account.Duplicates > 0 {
		t.Errorf("after a clean stop: %v", account)
	}
	h.Stop(t)
}

// keepsSecrets stores secrets everywhere that takes one, uses them, and looks for them where they must not be.
func keepsSecrets(t *testing.T, h *harness.System) {
	const canary = "cAnArY-7f3a"
	site := harness.NewReceiver(t)
	relay := smtptest.Start(t, smtptest.Options{Username: "relay", Password: canary + "-smtp", AuthInClear: true})
	a := h.AddAppliance(t, "secrets-1")
	h.REST.Do(t, http.MethodPatch, "/v1/settings/smtp", harness.Object{
		"host": relay.Host(), "port": relay.Port(), "encryption": "NONE", "auth": "CRAM_MD5", "username": "relay", "password": canary + "-smtp",
		"fromAddress": "outbound@example.com",
	})
	auths := []harness.Object{
		{"basic": harness.Object{"username": "u", "password": canary + "-basic"}},
		{"bearer": harness.Object{"token": canary + "-bearer"}},
		{"apiKey": harness.Object{"header": "X-Key", "value": canary + "-key"}},
	}
	types := []string{"support_conference_end"}
	answers := ""
	for i, auth := range auths {
		name := []string{"basic", "bearer", "key"}[i]
		r := webhook("Secret "+name, site.URL("secret-"+name), types, harness.Object{"auth": auth})
		r["appliances"] = []string{a.ID}
		made, err := h.REST.Call(http.MethodPost, "/v1/recipients", r)
		if err != nil || made.Status != http.StatusOK {
			t.Fatalf("%v %d %s", err, made.Status, made.Body)
		}
		answers += string(made.Body)
	}
	h.AddRecipient(t, harness.Object{"displayName": "Secret mail", "eventTypes": types, "appliances": []string{a.ID},
		"email": harness.Object{"addresses": []string{"secret-person@example.com"}}})
	publish(t, a, harness.NewEvent(a.ID, "e-1", types[0], harness.Object{"note": canary + "-body"}))
	for _, name := range []string{"basic", "bearer", "key"} {
		got := arrived(t, site, "secret-"+name, 1)[0]
		if v := got.Header.Get("Authorization") + got.Header.Get("X-Key"); v == "" {
			t.Errorf("%s: the secret was not sent", name)
		}
	}
	relay.Await(t, 1)
	for _, path := range []string{"/v1/recipients", "/v1/settings/smtp", "/v1/appliances", "/v1/deliveries", "/v1/status"} {
		answer, err := h.REST.Call(http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answers += string(answer.Body)
	}
	if strings.Contains(answers, canary) {
		t.Errorf("a secret is told by the API")
	}
	logs := h.Logs()
	if !strings.Contains(logs, "delivery attempted") {
		t.Errorf("the logs hold no attempts: they cannot be all there are")
	}
	for _, secret := range []string{canary, a.Password, a.Token, h.REST.Token, "secret-person@example.com"} {
		if strings.Contains(logs, secret) {
			t.Errorf("a secret beginning with %.6q is in the logs", secret)
		}
	}
	for _, secret := range []string{canary + "-smtp", canary + "-basic", canary + "-bearer", canary + "-key", a.Token, a.Password} {
		if file := holding(t, h.Dir, secret); file != "" {
			t.Errorf("a secret beginning with %.16q lies in the clear in %s", secret, file)
		}
	}
}

// holding is the first file under dir that holds a text, but for files of credentials made by the harness.
func holding(t *testing.T, dir, text string) string {
	t.Helper()
	found, read := "", 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || found != "" {
			return ignoreGone(err)
		}
		content, err := os.ReadFile(p)
		read++
		if bytes.Contains(content, []byte(text)) {
			found = p
		}
		return ignoreGone(err)
	})
	if err != nil || read < 5 {
		t.Fatalf("search %d files of %s: %v", read, dir, err)
	}
	return found
}

// ignoreGone passes over files that the broker took away meanwhile.
func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
