package web_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// hostile is a text that pages must escape.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{.}}` + "\u202e"

const pages = `{{define "title"}}Try{{end}}{{define "content"}}{{template "faults" .Data}}<form>{{template "field" (field .Data "http.url" "URL" "help" "Where to")}}
{{template "field" (field .Data "password" "Password" "type" "password" "stored" true)}}{{template "field" (field .Data "note" "Note" "type" "textarea")}}
{{template "field" (field .Data "on" "On" "type" "checkbox")}}</form>{{if .Me.Operates}}<button>Operate</button>{{end}}{{if .Me.Admins}}<button>Administer</button>{{end}}
<a href="{{link "/x" "q" (.Data.Get "note")}}">link</a>{{template "copy" (dict "text" (.Data.Get "note"))}}{{chip "bad" (.Data.Get "note")}}{{end}}{{define "row"}}<td>{{.Data}}</td>{{end}}`

// fixture is a site with a test area.
type fixture struct {
	*consoletest.Browser
	t      *testing.T
	site   *web.Site
	log    *waittest.Log
	access *consoletest.Access
	stop   chan struct{}
}

func open(t *testing.T) *fixture {
	t.Helper()
	h := &fixture{t: t, log: &waittest.Log{}, access: consoletest.NewAccess(), stop: make(chan struct{})}
	server := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Tokens{Admin: consoletest.AdminToken, Service: "s"},
		Logger: slog.New(slog.DiscardHandler)})
	outboundv1.RegisterAccessServiceServer(server, h.access)
	local := rpc.InProcess(server)
	dial := func(token string) *grpc.ClientConn {
		conn, err := local.Dial(token)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	bare, signed := dial(""), dial("s")
	site, err := web.New(web.Deps{
		Service: signed, Bare: bare, Sessions: session.New(session.NewMemory(), session.DefaultOptions()), Limiter: throttle.NewMemory(),
		Logger: slog.New(slog.NewTextHandler(h.log, nil)), Version: "v0", MaxBody: 1 << 10, Stop: h.stop,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.site = site
	h.routes()
	handler, err := site.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "rest", http.StatusTeapot) }))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
		_, _ = bare.Close(), signed.Close()
		server.Stop()
		_ = local.Close()
	})
	h.Browser = consoletest.NewBrowser(t, s.URL)
	return h
}

func (h *fixture) routes() {
	a := h.site.Area(fstest.MapFS{"try.html": {Data: []byte(pages)}})
	a.Open("GET /enter/{role}", func(r *web.Request) error {
		role := map[string]rpc.Role{"viewer": rpc.RoleViewer, "operator": rpc.RoleOperator, "admin": rpc.RoleAdmin}[r.PathValue("role")]
		if err := r.SignIn(web.Identity{Kind: web.ByOIDC, Name: "somebody", Role: role}); err != nil {
			return err
		}
		r.Flash(web.Good, hostile)
		return r.Redirect("/try")
	})
	a.GET("/try", func(r *web.Request) error { return r.Render("try", web.NewForm(nil)) })
	a.POST("/try", rpc.RoleOperator, func(r *web.Request) error {
		form, err := r.Input()
		if err != nil {
			return err
		}
		form.Refused(rpc.InvalidArgument(rpc.Violation{Field: "http.url", Description: hostile},
			rpc.Violation{Field: "elsewhere[2].retryUrl", Description: "is odd"}, rpc.Violation{Field: "recipient.note[1]", Description: "is long"}))
		r.Status(http.StatusUnprocessableEntity)
		return r.Render("try", form)
	})
	a.Page("/admins", rpc.RoleAdmin, func(r *web.Request) error { return r.Render("try", web.NewForm(nil)) })
	a.GET("/row", func(r *web.Request) error { return r.RenderPart("try", "row", hostile) })
	a.GET("/fail/{how}", fail)
	a.GET("/self", func(r *web.Request) error {
		self, err := r.API.Access.GetSelf(r.Context(), &outboundv1.GetSelfRequest{})
		if err != nil {
			return err
		}
		return r.RenderPart("try", "row", self.GetName()+" "+self.GetRole().String())
	})
	a.GET("/users", func(r *web.Request) error {
		_, err := r.API.Access.ListTokens(r.Context(), &outboundv1.ListTokensRequest{})
		return err
	})
	a.GET("/stream", func(r *web.Request) error {
		return r.Stream(func(s *web.Stream) error {
			if err := s.Send("row", "try", "row", hostile+"\nsecond line"); err != nil {
				return err
			}
			<-r.Context().Done()
			return nil
		})
	})
}

func fail(r *web.Request) error {
	switch r.PathValue("how") {
	case "panic":
		panic("secret in a panic")
	case "unknown":
		return errors.New("secret in an error")
	case "internal":
		return status.Error(codes.Internal, "secret of a service")
	case "away":
		return status.Error(codes.Unavailable, "dial 10.1.2.3: secret address")
	case "missing":
		return rpc.NotFound("recipient", hostile)
	case "template":
		return r.Render("try", "no form at all")
	case "none":
		return r.Render("nothing", nil)
	case "failure":
		return web.Fail(http.StatusConflict, "Conflict", hostile)
	default:
		return context.DeadlineExceeded
	}
}

func (h *fixture) enter(role string) {
	h.t.Helper()
	if a := h.Get("/enter/" + role); a.Status != http.StatusSeeOther {
		h.t.Fatalf("%d %s", a.Status, a.Body)
	}
}

func TestForgedRequestsAreRefused(t *testing.T) {
	h := open(t)
	h.enter("admin")
	for _, x := range []struct {
		name   string
		header []string
		want   int
	}{
		{"this page", []string{"Sec-Fetch-Site", "same-origin", "Origin", h.URL}, 422},
		{"an address typed in", []string{"Sec-Fetch-Site", "none"}, 422},
		{"an old browser's own page", []string{"Origin", h.URL}, 422},
		{"no browser", nil, 422},
		{"another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"another host of the site", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.example"}, 403},
		{"an old browser on another site", []string{"Origin", "https://evil.example"}, 403},
		{"a sandboxed frame", []string{"Origin", "null"}, 403},
		{"a form that lies about htmx", []string{"Sec-Fetch-Site", "cross-site", "HX-Request", "true"}, 403},
	} {
		for _, path := range []string{"/try"} {
			if a := h.Do(http.MethodPost, path, url.Values{"note": {"x"}}, x.header...); a.Status != x.want {
				t.Errorf("from %s: %d, want %d", x.name, a.Status, x.want)
			}
		}
	}
	if a := h.Do(http.MethodGet, "/try", nil, "Sec-Fetch-Site", "cross-site"); a.Status != http.StatusOK {
		t.Errorf("a link from elsewhere: %d", a.Status)
	}
}

func TestRolesLimitPagesAndActions(t *testing.T) {
	for role, x := range map[string]struct {
		post, admins        int
		operate, administer bool
		self                string
	}{
		"viewer":   {403, 403, false, false, "somebody VIEWER"},
		"operator": {422, 403, true, false, "somebody OPERATOR"},
		"admin":    {422, 200, true, true, "somebody ADMIN"},
	} {
		h := open(t)
		h.enter(role)
		page := h.Get("/try")
		if page.Status != 200 || strings.Contains(page.Body, ">Operate<") != x.operate ||
			strings.Contains(page.Body, ">Administer<") != x.administer {
			t.Errorf("%s sees %d %s", role, page.Status, page.Body)
		}
		if a := h.Post("/try", url.Values{}); a.Status != x.post {
			t.Errorf("%s posts: %d, want %d", role, a.Status, x.post)
		}
		if a := h.Get("/admins"); a.Status != x.admins {
			t.Errorf("%s sees the admins' page: %d, want %d", role, a.Status, x.admins)
		}
		if a := h.Get("/self"); a.Body != "<td>"+x.self+"</td>" {
			t.Errorf("%s calls as %s", role, a.Body)
		}
		// The service also checks the role.
		if a := h.Get("/users"); role != "admin" && a.Status != http.StatusForbidden {
			t.Errorf("%s lists tokens: %d %s", role, a.Status, a.Body)
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	h := open(t)
	h.enter("operator")
	first := h.Get("/try")
	again := h.Post("/try", url.Values{"http.url": {hostile}, "note": {hostile}, "password": {"typed secret"}, "on": {"true"}})
	h.Header.Set("HX-Request", "true")
	part := h.Post("/try", url.Values{"http.url": {hostile}, "note": {hostile}})
	row := h.Get("/row")
	missing := h.Get("/fail/missing")
	h.Header.Del("HX-Request")
	for name, a := range map[string]consoletest.Answer{"notice": first, "form": again, "part": part, "row": row, "refusal": missing,
		"page of a refusal": h.Get("/fail/failure"), "address": h.Get("/" + url.PathEscape(hostile) + "?x=" + url.QueryEscape(hostile))} {
		for _, bad := range []string{"<script>alert", "<img src=x", `""><`} {
			if strings.Contains(a.Body, bad) {
				t.Errorf("%s: %q came through: %s", name, bad, a.Body)
			}
		}
		if name != "address" && !strings.Contains(a.Body, "&lt;script&gt;") {
			t.Errorf("%s does not show the text: %d %s", name, a.Status, a.Body)
		}
	}
	if strings.Contains(again.Body, "typed secret") || !strings.Contains(again.Body, `name="on" value="true" checked`) {
		t.Errorf("the form shows a password, or lost a tick: %s", again.Body)
	}
	if !strings.Contains(again.Body, `<a href="#f-http-url">`) || !strings.Contains(again.Body, `aria-invalid="true"`) ||
		strings.Contains(again.Body, "data-early") {
		t.Errorf("faults are not shown beside their fields: %s", again.Body)
	}
	if strings.Contains(part.Body, "<html") || !strings.Contains(again.Body, "<html") {
		t.Error("htmx gets whole pages, or browsers parts")
	}
	if second := h.Get("/try"); strings.Contains(second.Body, "alert(1)") {
		t.Error("the notice is shown twice")
	}
}

func TestErrorPagesHideInternalDetails(t *testing.T) {
	h := open(t)
	h.enter("viewer")
	for how, want := range map[string]int{"panic": 500, "unknown": 500, "internal": 500, "template": 500, "none": 500, "away": 503,
		"missing": 404, "failure": 409, "late": 503} {
		for _, htmx := range []string{"", "true"} {
			h.Header.Set("HX-Request", htmx)
			a := h.Get("/fail/" + how)
			if a.Status != want || strings.Contains(a.Body, "secret") || strings.Contains(a.Body, "goroutine") ||
				strings.Contains(a.Body, "10.1.2.3") {
				t.Errorf("%s: %d %s", how, a.Status, a.Body)
			}
			if retarget := a.Header.Get("HX-Retarget"); (retarget == "#notices") != (htmx == "true") {
				t.Errorf("%s with htmx %q goes to %q", how, htmx, retarget)
			}
		}
	}
	for _, want := range []string{"secret in a panic", "secret in an error", "secret of a service"} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if a := h.Post("/try", url.Values{"note": {strings.Repeat("x", 2000)}}); a.Status != http.StatusForbidden {
		t.Errorf("a viewer's large form: %d", a.Status)
	}
	h.Header.Del("HX-Request")
	h.enter("operator")
	if a := h.Post("/try", url.Values{"note": {strings.Repeat("x", 2000)}}); a.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("a form that is too large: %d", a.Status)
	}
}

func TestPagesLoadOnlyOwnAssets(t *testing.T) {
	h := open(t)
	h.enter("viewer")
	page := h.Get("/try")
	if icon := h.Get("/favicon.ico"); icon.Status != http.StatusFound || !strings.HasSuffix(icon.Header.Get("Location"), "/icon.svg") {
		t.Errorf("the icon of the site is answered with %d %v", icon.Status, icon.Header)
	}
	csp := page.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'",
		"base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q lacks %s", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("the policy is %q", csp)
	}
	for _, bad := range []string{"<style", " style=", "<script>", " onclick", "http://", "https://"} {
		if strings.Contains(page.Body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	loaded := 0
	for _, piece := range strings.Split(page.Body, `"/assets/`)[1:] {
		path, _, _ := strings.Cut(piece, `"`)
		a := h.Get("/assets/" + path)
		if a.Status != 200 || !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || a.Body == "" ||
			a.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, a.Status, a.Header)
		}
		_, name, _ := strings.Cut(path, "/")
		if a := h.Get("/assets/000000000000/" + name); a.Status != http.StatusNotFound ||
			strings.Contains(a.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s of another hash: %d", name, a.Status)
		}
		loaded++
	}
	if loaded < 5 {
		t.Errorf("the page loads %d assets", loaded)
	}
}

func TestAStreamEndsWithTheService(t *testing.T) {
	h := open(t)
	h.enter("viewer")
	resp := h.Stream("/stream")
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, got)
	}
	lines := bufio.NewScanner(resp.Body)
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
		if strings.HasPrefix(lines.Text(), "data: second line") {
			close(h.stop)
		}
	}
	text := strings.Join(got, "\n")
	if !strings.Contains(text, "event: row\ndata: <td>") || strings.Contains(text, "<script>") ||
		!strings.Contains(text, "\ndata: second line</td>\n") {
		t.Errorf("came: %s", text)
	}
	unknown := consoletest.NewBrowser(t, h.URL).Stream("/stream")
	defer func() { _ = unknown.Body.Close() }()
	if unknown.StatusCode != http.StatusNoContent {
		t.Errorf("a stream without a session: %d", unknown.StatusCode)
	}
}

func TestRequestsForOtherPathsArePassedOn(t *testing.T) {
	h := open(t)
	if a := h.Do(http.MethodGet, "/nothing", nil, "Accept", "application/json"); a.Status != http.StatusTeapot {
		t.Errorf("a program: %d", a.Status)
	}
	if a := h.Get("/nothing"); a.Status != http.StatusSeeOther {
		t.Errorf("a browser without a session: %d", a.Status)
	}
	h.enter("viewer")
	if a := h.Get("/nothing"); a.Status != http.StatusNotFound || !strings.Contains(a.Body, "Page not found") {
		t.Errorf("a browser: %d %s", a.Status, a.Body)
	}
}

func TestConflictingAreasAreReportedAtStart(t *testing.T) {
	h := open(t)
	a := h.site.Area(fstest.MapFS{"x.html": {Data: []byte(`{{define "content"}}{{end}}`)}})
	a.GET("/try", nil)
	h.site.Area(fstest.MapFS{"bad.html": {Data: []byte(`{{define "content"}}{{nonsense}}{{end}}`)}})
	if _, err := h.site.Handler(http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "/try") ||
		!strings.Contains(err.Error(), "bad.html") {
		t.Errorf("%v", err)
	}
}
