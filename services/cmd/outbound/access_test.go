package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestUsersAndTokensByTheCommandLine(t *testing.T) {
	h := open(t)
	if out := h.must("whoami"); !strings.Contains(out, "admin  admin") {
		t.Errorf("whoami says\n%s", out)
	}
	file := h.write("olga.password", "correct horse battery\n")
	h.must("users", "create", "olga", "--role", "operator", "--name", "Olga", "--password-file", file)
	if code, out, errors := h.run("a good long password\n", "users", "create", "ada", "--role", "admin", "--password-file", "-"); code != 0 {
		t.Fatalf("%d %s%s", code, out, errors)
	}
	for _, x := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"users", "create", "vera"}, 2, "no terminal to prompt"},
		{[]string{"users", "create", "vera", "--role", "god", "--no-password"}, 2, "is not a role"},
		{[]string{"users", "create", "Vera", "--no-password"}, 1, "name"},
		{[]string{"users", "create", "olga", "--no-password"}, 4, "taken"},
		{[]string{"users", "update", "olga"}, 2, "nothing to change"},
		{[]string{"users", "update", "nobody", "--role", "admin"}, 3, "does not exist"},
		{[]string{"users", "update", "ada", "--role", "viewer"}, 1, "last admin"},
		{[]string{"users", "delete", "ada", "--yes"}, 1, "last admin"},
		{[]string{"tokens", "delete", "nothing", "--yes"}, 3, "does not exist"},
		{[]string{"tokens", "create", "CI", "--expires-in", "-1h"}, 1, "has passed"},
	} {
		code, out, errors := h.run("", x.args...)
		if code != x.code || !strings.Contains(errors, x.says) {
			t.Errorf("outbound %s: exit %d, %s%s", strings.Join(x.args, " "), code, out, errors)
		}
	}
	h.must("users", "update", "olga", "--disabled")
	if out := h.must("users", "list"); !strings.Contains(out, "olga  Olga          operator  no") || strings.Contains(out, "argon") {
		t.Errorf("users are\n%s", out)
	}
	h.must("users", "delete", "olga", "--yes")

	var made struct {
		Token  struct{ ID string }
		Secret string
	}
	if err := json.Unmarshal([]byte(h.must("tokens", "create", "CI", "--role", "viewer", "--expires-in", "24h", "-o", "json")),
		&made); err != nil {
		t.Fatal(err)
	}
	if out := h.must("tokens", "list"); !strings.Contains(out, made.Token.ID+"  CI    viewer") || strings.Contains(out, made.Secret) {
		t.Errorf("tokens are\n%s", out)
	}
	admin := h.env["OUTBOUND_TOKEN"]
	h.env["OUTBOUND_TOKEN"] = made.Secret
	h.until(says("token "+made.Token.ID+"  viewer"), "whoami")
	if code, _, errors := h.run("", "users", "list"); code == 0 || !strings.Contains(errors, "viewer") {
		t.Errorf("a viewer's token lists users: %d %s", code, errors)
	}
	h.env["OUTBOUND_TOKEN"] = admin
	h.must("tokens", "delete", made.Token.ID, "--yes")
	h.env["OUTBOUND_TOKEN"] = made.Secret
	h.until(func(code int, _ string) bool { return code != 0 }, "whoami")
}

// TestAUserSignsInToTheConsole goes from a command to a page, through all services there are.
func TestAUserSignsInToTheConsole(t *testing.T) {
	h := open(t)
	h.must("users", "create", "ada", "--role", "admin", "--name", "Ada", "--password-file", h.write("p", "correct horse battery"))
	session := ""
	ask := func(method, path string, form url.Values) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, h.env["OUTBOUND_URL"]+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.AddCookie(&http.Cookie{Name: "__Host-outbound", Value: session})
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range resp.Cookies() {
			if c.Name == "__Host-outbound" {
				session = c.Value
			}
		}
		return resp.StatusCode, resp.Header, string(body)
	}
	defer http.DefaultClient.CloseIdleConnections()
	if code, header, _ := ask("GET", "/account", nil); code != http.StatusSeeOther || header.Get("Location") != "/sign-in?next=%2Faccount" {
		t.Fatalf("without signing in: %d %v", code, header)
	}
	if code, _, body := ask("POST", "/sign-in", url.Values{"name": {"ada"}, "password": {"wrong password"}}); code != http.StatusUnauthorized {
		t.Fatalf("with a wrong password: %d %s", code, body)
	}
	if code, _, body := ask("POST", "/sign-in",
		url.Values{"name": {"ada"}, "password": {"correct horse battery"}}); code != http.StatusSeeOther {
		t.Fatalf("%d %s", code, body)
	}
	if code, _, body := ask("GET", "/account", nil); code != http.StatusOK || !strings.Contains(body, `<dd class="mono">ada</dd>`) {
		t.Fatalf("%d %s", code, body)
	}
	if code, _, body := ask("GET", "/v1/self", nil); code != http.StatusUnauthorized {
		t.Errorf("REST takes the console's cookie: %d %s", code, body)
	}
	h.must("users", "create", "bob", "--role", "admin", "--no-password")
	h.must("users", "update", "ada", "--disabled")
	waittest.NoError(t, "a disabled user's session to end", func() error {
		if code, _, _ := ask("GET", "/account", nil); code != http.StatusSeeOther {
			return fmt.Errorf("it is answered %d", code)
		}
		return nil
	})
}
