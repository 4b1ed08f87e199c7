// Package web is the framework of the console pages: sessions, routing, rendering, forms and errors. The package documentation of
// services/console describes how to add a page.
package web

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/pkg/throttle"
)

// Deps are the dependencies of a site.
type Deps struct {
	// Service calls all services with the services' token, Bare without a token. Without Service, users sign in with tokens only.
	Service, Bare grpc.ClientConnInterface
	// Sessions stores the sessions.
	Sessions *session.Sessions
	// Limiter bounds sign-in attempts.
	Limiter throttle.Limiter
	// Logger logs errors that pages do not show.
	Logger *slog.Logger
	// Version is shown in the footer.
	Version string
	// Proxies are the trusted proxies. Without them the client is the connected peer.
	Proxies Proxies
	// Origin is the public origin, e.g. https://outbound.example.com. Forms from this origin are accepted even if a proxy changes Host.
	// Empty: only Host is compared.
	Origin string
	// MaxBody is the size limit of a form.
	MaxBody int64
	// Stop ends all streams when it is closed.
	Stop <-chan struct{}
}

// Site is the console. Add all areas before calling Handler.
type Site struct {
	Deps
	mux       *http.ServeMux
	assets    *assets
	base      *template.Template
	core      *Area
	users     userCache
	indicator statusIndicator
	faults    []error
}

// New returns a site without areas.
func New(d Deps) (*Site, error) {
	if d.Bare == nil || d.Sessions == nil || d.Limiter == nil || d.Logger == nil {
		return nil, errors.New("the console needs services, sessions, a limiter and a logger")
	}
	a, err := openAssets()
	if err != nil {
		return nil, err
	}
	s := &Site{Deps: d, mux: http.NewServeMux(), assets: a}
	s.users = userCache{conn: d.Service}
	if s.base, err = template.New("base").Funcs(s.functions()).ParseFS(ownTemplates, "templates/layout.html",
		"templates/partials.html", "templates/plots.html"); err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	own, err := fs.Sub(ownTemplates, "templates/pages")
	if err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	s.core = s.Area(own)
	s.mux.Handle("GET /assets/{hash}/{name}", a)
	// Some browsers ask for it before they have read a page, and without one.
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		address, _ := a.address("icon.svg")
		http.Redirect(w, r, address, http.StatusFound)
	})
	s.core.GET("/part/status", s.showStatusIndicator)
	return s, errors.Join(s.faults...)
}

// Handler serves all pages. Other requests go to next, except those of browsers for HTML.
func (s *Site) Handler(next http.Handler) (http.Handler, error) {
	if err := errors.Join(s.faults...); err != nil {
		return nil, err
	}
	s.mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !wantsHTML(r) {
			next.ServeHTTP(w, r)
			return
		}
		q := s.request(w, r, s.core)
		signedIn, err := q.identify()
		if err == nil && !signedIn {
			// Do not reveal which pages exist.
			_ = q.toSignIn()
			return
		}
		if err == nil {
			err = errNoPage
		}
		s.fail(q, err)
	}))
	protection := http.NewCrossOriginProtection()
	if s.Origin != "" {
		if err := protection.AddTrustedOrigin(s.Origin); err != nil {
			return nil, fmt.Errorf("trust the origin %s: %w", s.Origin, err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		s.fail(s.request(w, r, s.core), errCrossOrigin)
	}))
	pages := protection.Handler(s.mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSecurityHeaders(w.Header())
		pages.ServeHTTP(w, r)
	}), nil
}

// policy is the Content-Security-Policy: only scripts, styles and images of this host, and none inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func setSecurityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// Without a referrer, browsers send Origin: null with forms, and browsers without Sec-Fetch-Site could not prove the same origin.
	h.Set("Referrer-Policy", "same-origin")
	h.Add("Vary", "HX-Request")
}

// Handle handles a request. Its error becomes an error page, or a notice for an htmx request.
type Handle func(r *Request) error

// Area is a group of pages with its templates.
type Area struct {
	site  *Site
	views map[string]*template.Template
}

// Area adds a group of pages. Each template file is a page, named like the file without `.html`. Files with the prefix `_` are parts for
// all pages of the area.
func (s *Site) Area(templates fs.FS) *Area {
	a := &Area{site: s, views: map[string]*template.Template{}}
	if err := a.parse(templates); err != nil {
		s.faults = append(s.faults, err)
	}
	return a
}

// GET adds a page for all signed-in users. The path is a pattern of http.ServeMux, e.g. /events/{id}.
func (a *Area) GET(path string, h Handle) { a.route("GET "+path, rpc.RoleViewer, h) }

// POST adds an action for users with at least a role.
func (a *Area) POST(path string, least rpc.Role, h Handle) { a.route("POST "+path, least, h) }

// Page adds a page for users with at least a role.
func (a *Area) Page(path string, least rpc.Role, h Handle) { a.route("GET "+path, least, h) }

// Open adds a handler that needs no session. The pattern starts with a method.
func (a *Area) Open(pattern string, h Handle) {
	a.handle(pattern, func(r *Request) error { return h(r) })
}

func (a *Area) route(pattern string, least rpc.Role, h Handle) {
	a.handle(pattern, func(r *Request) error {
		signedIn, err := r.identify()
		switch {
		case err != nil:
			return err
		case !signedIn:
			return r.toSignIn()
		case !r.Me.may(least):
			return errRole
		default:
			return h(r)
		}
	})
}

func (a *Area) handle(pattern string, h Handle) {
	defer func() {
		// ServeMux panics on an invalid or duplicate pattern. Handler returns it as an error.
		if p := recover(); p != nil {
			a.site.faults = append(a.site.faults, fmt.Errorf("add the page %q: %v", pattern, p))
		}
	}()
	a.site.mux.HandleFunc(pattern, func(w http.ResponseWriter, hr *http.Request) {
		r := a.site.request(w, hr, a)
		defer func() {
			if p := recover(); p != nil {
				a.site.fail(r, panicked(p))
			}
		}()
		if err := h(r); err != nil {
			a.site.fail(r, err)
		}
	})
}
