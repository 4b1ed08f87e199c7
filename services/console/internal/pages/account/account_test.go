package account_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func TestPagesRequireSignIn(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	b := h.Browser()
	a := b.Get("/account?x=1")
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/sign-in?next=%2Faccount%3Fx%3D1" {
		t.Errorf("%d to %q", a.Status, a.Header.Get("Location"))
	}
	if a := b.Post("/account/password", url.Values{}); a.Status != http.StatusSeeOther {
		t.Errorf("a change without signing in: %d", a.Status)
	}
	b.Cookies["__Host-outbound"] = strings.Repeat("A", 43)
	if a := b.Get("/account"); a.Status != http.StatusSeeOther {
		t.Errorf("with a made-up session: %d", a.Status)
	}
	b.Header.Set("HX-Request", "true")
	if a := b.Get("/account"); a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("HX-Redirect"), "/sign-in") || a.Body != "" {
		t.Errorf("htmx without signing in: %d %v", a.Status, a.Header)
	}
}

func TestSignInAndSignOut(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	b := h.Browser()
	a := b.Post("/sign-in", url.Values{"name": {"operator"}, "password": {consoletest.Password}, "next": {"/account"}})
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/account" {
		t.Fatalf("%d to %q: %s", a.Status, a.Header.Get("Location"), a.Body)
	}
	cookie := a.Header.Get("Set-Cookie")
	for _, want := range []string{"__Host-outbound=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie %q lacks %q", cookie, want)
		}
	}
	if strings.Contains(cookie, "Domain") {
		t.Errorf("the cookie goes further than this host: %q", cookie)
	}
	page := b.Get("/account")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "The operator") ||
		!strings.Contains(page.Body, `<dd class="mono">operator</dd>`) {
		t.Fatalf("%d %s", page.Status, page.Body)
	}
	before := b.Cookies["__Host-outbound"]
	b.Post("/sign-in", url.Values{"name": {"viewer"}, "password": {consoletest.Password}})
	if b.Cookies["__Host-outbound"] == before {
		t.Error("signing in again kept the session's id")
	}
	now := b.Cookies["__Host-outbound"]
	if a := b.Post("/sign-out", url.Values{}); a.Status != http.StatusSeeOther || b.Cookies["__Host-outbound"] != "" {
		t.Errorf("signing out: %d, cookies %v", a.Status, b.Cookies)
	}
	for _, old := range []string{before, now} {
		b.Cookies["__Host-outbound"] = old
		if a := b.Get("/account"); a.Status != http.StatusSeeOther {
			t.Errorf("a session that ended still opens: %d", a.Status)
		}
	}
}

// TestNewUserStaysSignedIn creates and changes users elsewhere while the console has cached users.
func TestNewUserStaysSignedIn(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	before := h.As("viewer")
	for _, password := range []string{"the first password", "the second password"} {
		if a := before.Get("/account"); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		h.Access.Put(&outboundv1.User{Name: "new", Role: outboundv1.Role_OPERATOR}, password)
		b := h.Browser()
		if a := b.Post("/sign-in", url.Values{"name": {"new"}, "password": {password}}); a.Status != http.StatusSeeOther {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if a := b.Get("/account"); a.Status != http.StatusOK {
			t.Errorf("with %s they are signed out at once: %d to %q", password, a.Status, a.Header.Get("Location"))
		}
	}
}

func TestWrongCredentialsGetTheSameResponse(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	h.Access.Put(&outboundv1.User{Name: "gone", Role: outboundv1.Role_ADMIN, Disabled: true}, consoletest.Password)
	var bodies []string
	for _, x := range []url.Values{
		{"name": {"operator"}, "password": {"wrong"}, "next": {"/x"}},
		{"name": {"operator"}, "password": {""}, "next": {"/x"}},
		{"name": {"nobody"}, "password": {consoletest.Password}, "next": {"/x"}},
		{"name": {"gone"}, "password": {consoletest.Password}, "next": {"/x"}},
	} {
		b := h.Browser()
		a := b.Post("/sign-in", x)
		if a.Status != http.StatusUnauthorized || len(b.Cookies) != 0 || !strings.Contains(a.Body, "Incorrect name or password") {
			t.Errorf("%v: %d with cookies %v", x, a.Status, b.Cookies)
		}
		if strings.Contains(a.Body, consoletest.Password) || strings.Contains(a.Body, `value="wrong"`) {
			t.Error("a password is shown again")
		}
		bodies = append(bodies, strings.ReplaceAll(a.Body, x.Get("name"), "NAME"))
	}
	for i, body := range bodies[1:] {
		if body != bodies[0] {
			t.Errorf("refusal %d differs from the first", i+1)
		}
	}
}

func TestNextStaysOnTheSite(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	for i, next := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\t//evil.example",
		"evil", ""} {
		a := h.Browser().Post("/sign-in", url.Values{"name": {[]string{"viewer", "operator"}[i%2]}, "password": {consoletest.Password},
			"next": {next}})
		if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/" {
			t.Errorf("%q leads to %q", next, a.Header.Get("Location"))
		}
	}
}

func TestTokenSignInStoresNoPlainToken(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	b := h.Browser()
	if a := b.Post("/sign-in/token", url.Values{"token": {consoletest.AdminToken}}); a.Status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	page := b.Get("/account")
	if !strings.Contains(page.Body, `<dd class="mono">admin</dd>`) || strings.Contains(page.Body, "newPassword") ||
		strings.Contains(page.Body, consoletest.AdminToken) {
		t.Errorf("%d %s", page.Status, page.Body)
	}
	for _, token := range []string{"", "wrong", "service-token", "with blank", "line\nbreak", "ümlaut"} {
		b := h.Browser()
		if a := b.Post("/sign-in/token", url.Values{"token": {token}}); a.Status != http.StatusUnauthorized || len(b.Cookies) != 0 {
			t.Errorf("token %q: %d", token, a.Status)
		}
	}
}

func TestSignInAttemptsAreThrottled(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	b := h.Browser()
	wrong, late := 0, 0
	for range 12 {
		switch a := b.Post("/sign-in", url.Values{"name": {"operator"}, "password": {"wrong"}}); a.Status {
		case http.StatusUnauthorized:
			wrong++
		case http.StatusTooManyRequests:
			late++
			if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "Too many sign-in attempts") {
				t.Errorf("refused without saying how long: %s", a.Body)
			}
		default:
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if wrong != 5 || late != 7 {
		t.Errorf("%d attempts were checked and %d refused, want 5 and 7", wrong, late)
	}
	if a := b.Post("/sign-in", url.Values{"name": {"viewer"}, "password": {consoletest.Password}}); a.Status != http.StatusSeeOther {
		t.Errorf("another name is held too: %d", a.Status)
	}
}

// TestSessionEndsWithItsUserOrToken changes the user of a session. The cached users may be two seconds old.
func TestSessionEndsWithItsUserOrToken(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*consoletest.Access)
		want   int
	}{
		"nothing": {func(*consoletest.Access) {}, http.StatusOK},
		"disabled": {func(a *consoletest.Access) {
			a.Put(&outboundv1.User{Name: "admin", Role: outboundv1.Role_ADMIN, Disabled: true}, "")
		}, http.StatusSeeOther},
		"deleted": {func(a *consoletest.Access) { a.Remove("admin") }, http.StatusSeeOther},
		"password": {func(a *consoletest.Access) {
			a.Put(&outboundv1.User{Name: "admin", Role: outboundv1.Role_ADMIN}, "another password")
		}, http.StatusSeeOther},
		"role": {func(a *consoletest.Access) {
			a.Put(&outboundv1.User{Name: "admin", DisplayName: "Was admin", Role: outboundv1.Role_VIEWER}, "")
		}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			h := consoletest.Start(t, consoletest.Options{})
			b := h.As("admin")
			if a := b.Get("/account"); a.Status != http.StatusOK || !strings.Contains(a.Body, "<dd>admin</dd>") {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			x.change(h.Access)
			waittest.NoError(t, "the change to act", func() error {
				a := b.Get("/account")
				if a.Status != x.want || name == "role" && !strings.Contains(a.Body, "<dd>viewer</dd>") {
					return fmt.Errorf("it answers %d %s", a.Status, a.Body)
				}
				return nil
			})
		})
	}
}

func TestUsersChangeTheirPasswords(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	b, elsewhere := h.As("viewer"), h.As("viewer")
	a := b.Post("/account/password", url.Values{"currentPassword": {"wrong"}, "newPassword": {"a new password"},
		"repeated": {"a new password"}})
	if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `id="f-currentPassword-fault"`) ||
		strings.Contains(a.Body, "a new password") {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	a = b.Post("/account/password", url.Values{"currentPassword": {consoletest.Password}, "newPassword": {"a new password"},
		"repeated": {"another"}})
	if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `id="f-repeated-fault"`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	a = b.Post("/account/password", url.Values{"currentPassword": {consoletest.Password}, "newPassword": {"a new password"},
		"repeated": {"a new password"}})
	if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/sign-in" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := b.Get("/sign-in"); !strings.Contains(a.Body, "Password changed") {
		t.Error("the change is not confirmed")
	}
	if a := b.Get("/sign-in"); strings.Contains(a.Body, "Password changed") {
		t.Error("the notice is shown twice")
	}
	waittest.Until(t, "the session elsewhere to end", func() bool { return elsewhere.Get("/account").Status != http.StatusOK })
}

func TestSetupLinkCreatesTheFirstAdminOnce(t *testing.T) {
	access := consoletest.NewAccess()
	access.Clear()
	h := consoletest.Start(t, consoletest.Options{Users: access})
	link, err := url.Parse(<-h.Link)
	if err != nil || !strings.HasPrefix(link.String(), h.URL+"/setup?code=") {
		t.Fatalf("%v, %v", link, err)
	}
	code := link.Query().Get("code")
	b := h.Browser()
	for _, wrong := range []string{"/setup", "/setup?code=", "/setup?code=" + strings.Repeat("A", len(code))} {
		if a := b.Get(wrong); a.Status != http.StatusForbidden {
			t.Errorf("%s: %d", wrong, a.Status)
		}
	}
	if a := b.Post("/setup", url.Values{"name": {"evil"}, "password": {consoletest.Password},
		"repeated": {consoletest.Password}}); a.Status != http.StatusForbidden {
		t.Errorf("without a code: %d", a.Status)
	}
	if a := b.Get(link.RequestURI()); a.Status != http.StatusOK || !strings.Contains(a.Body, "Create the first administrator") {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	form := url.Values{"code": {code}, "name": {"ada"}, "displayName": {"Ada <b>"}, "password": {"short"}, "repeated": {"short"}}
	a := b.Post("/setup", form)
	if a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, `id="f-password-fault"`) ||
		!strings.Contains(a.Body, `value="Ada &lt;b&gt;"`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	form["password"], form["repeated"] = []string{consoletest.Password}, []string{consoletest.Password}
	if a := b.Post("/setup", form); a.Status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := b.Get("/account"); a.Status != http.StatusOK || !strings.Contains(a.Body, "<dd>admin</dd>") ||
		!strings.Contains(a.Body, "Ada &lt;b&gt;") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := h.Browser().Get(link.RequestURI()); a.Status != http.StatusForbidden {
		t.Errorf("the link works twice: %d", a.Status)
	}
	if got := access.Actors(); len(got) != 1 || got[0] != "outbound" {
		t.Errorf("made by %q, want once by outbound", got)
	}
	if strings.Contains(h.Log.String(), code) {
		t.Error("the code is in the log")
	}
}

func TestOfManyPostsToTheSetupLinkOneMakesAnAdmin(t *testing.T) {
	access := consoletest.NewAccess()
	access.Clear()
	h := consoletest.Start(t, consoletest.Options{Users: access})
	link, err := url.Parse(<-h.Link)
	if err != nil {
		t.Fatal(err)
	}
	const posts = 8
	answers := make(chan int, posts)
	for i := range posts {
		b := h.Browser()
		go func() {
			answers <- b.Post("/setup", url.Values{"code": {link.Query().Get("code")}, "name": {fmt.Sprintf("ada%d", i)},
				"password": {consoletest.Password}, "repeated": {consoletest.Password}}).Status
		}()
	}
	got := map[int]int{}
	for range posts {
		got[<-answers]++
	}
	if got[http.StatusSeeOther] != 1 || got[http.StatusForbidden] != posts-1 || len(access.Actors()) != 1 {
		t.Errorf("answered %v, %d users were made", got, len(access.Actors()))
	}
}

func TestNoSetupLinkWithUsers(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{})
	if a := h.As("admin").Get("/setup?code="); a.Status != http.StatusForbidden {
		t.Errorf("%d", a.Status)
	}
	select {
	case link := <-h.Link:
		t.Errorf("announced %s", link)
	default:
	}
}
