package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// letsPeopleIn makes users and tokens, which every service must take: the configuration's, the history's and the intake's doors
// are asked, and the console's.
func letsPeopleIn(t *testing.T, h *harness.System) {
	const password = "correct horse battery"
	for name, role := range map[string]string{"e2e-viewer": "VIEWER", "e2e-admin": "ADMIN"} {
		h.REST.Do(t, http.MethodPost, "/v1/users", harness.Object{"name": name, "role": role, "password": password})
	}
	made := h.REST.Do(t, http.MethodPost, "/v1/tokens", harness.Object{"displayName": "e2e", "role": "OPERATOR"})
	secret, _ := made["secret"].(string)
	c := harness.NewClient(h.REST.Base, secret)
	defer c.Close()
	event := harness.NewEvent("nobody", "e-1", ended, harness.Object{})
	for _, x := range []struct {
		method, path string
		body         any
		want         int
	}{
		{http.MethodGet, "/v1/self", nil, http.StatusOK},
		{http.MethodGet, "/v1/recipients", nil, http.StatusOK},
		{http.MethodGet, "/v1/deliveries", nil, http.StatusOK},
		{http.MethodGet, "/v1/status", nil, http.StatusOK},
		{http.MethodGet, "/v1/users", nil, http.StatusForbidden},
		{http.MethodPost, "/v1/events", event, http.StatusForbidden},
	} {
		// Other services are told of the token a moment later; until then they answer 401.
		eventuallyAnswers(t, c, x.method, x.path, x.body, x.want)
	}
	id, _ := made["token"].(harness.Object)["id"].(string)
	h.REST.Do(t, http.MethodDelete, "/v1/tokens/"+id, nil)
	for _, path := range []string{"/v1/recipients", "/v1/status"} {
		eventuallyAnswers(t, c, http.MethodGet, path, nil, http.StatusUnauthorized)
	}

	cookie := signIn(t, h, "e2e-viewer", password)
	if code, body := page(t, h, cookie, "/account"); code != http.StatusOK ||
		!strings.Contains(body, `<dd class="mono">e2e-viewer</dd>`) || !strings.Contains(body, "<dd>viewer</dd>") {
		t.Fatalf("%d %s", code, body)
	}
	h.REST.Do(t, http.MethodDelete, "/v1/users/e2e-viewer", nil)
	waittest.NoError(t, "a deleted user's session to end", func() error {
		if code, _ := page(t, h, cookie, "/account"); code != http.StatusSeeOther {
			return fmt.Errorf("it is answered %d", code)
		}
		return nil
	})
	cookie = signIn(t, h, "e2e-admin", password)
	if code, body := page(t, h, cookie, "/account"); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
}

func eventuallyAnswers(t *testing.T, c *harness.Client, method, path string, body any, want int) {
	t.Helper()
	waittest.NoError(t, method+" "+path, func() error {
		a, err := c.Call(method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != want {
			return fmt.Errorf("it is answered %d %s, want %d", a.Status, a.Body, want)
		}
		return nil
	})
}

// signIn signs in at the console as a browser does, and returns the session's cookie.
func signIn(t *testing.T, h *harness.System, name, password string) *http.Cookie {
	t.Helper()
	form := url.Values{"name": {name}, "password": {password}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.REST.Base+"/sign-in", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for _, c := range resp.Cookies() {
		if c.Name == "__Host-outbound" && c.Value != "" {
			return c
		}
	}
	body, _ := io.ReadAll(resp.Body)
	t.Fatalf("%s is not let in: %d %s", name, resp.StatusCode, body)
	return nil
}

// page asks for a page of the console.
func page(t *testing.T, h *harness.System, cookie *http.Cookie, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.REST.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	req.AddCookie(cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
