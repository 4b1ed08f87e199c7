// Package web is the ground that the console's pages stand on: who is signed in, how pages are rendered, how forms keep what
// was typed, how errors are told. doc.go of services/console says how a page is added.
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

// Deps are what a site works through.
type Deps struct {
	// Service leads to all services with the services' token, Bare without a token. Without Service people sign in with tokens
	// alone.
	Service, Bare grpc.ClientConnInterface
	// Sessions keeps who is signed in.
	Sessions *session.Sessions
	// Limiter bounds the attempts to sign in.
	Limiter throttle.Limiter
	// Logger takes what people cannot be told.
	Logger *slog.Logger
	// Version is shown in the page's foot.
	Version string
	// Proxies say who asks. Without any it is whoever is connected.
	Proxies Proxies
	// Origin is where people reach the site, e.g. https://outbound.example.com: a form that browsers say is of there is the site's own,
	// also behind a proxy that changes Host. Empty: Host alone says.
	Origin string
	// MaxBody is the most bytes a form may have.
	MaxBody int64
	// Stop ends every stream when it is closed.
	Stop <-chan struct{}
}

// Site is the console in the browser. Areas are added, then Handler is taken.
type Site struct {
	Deps
	mux       *http.ServeMux
	assets    *assets
	base      *template.Template
	core      *Area
	people    people
	indicator statusIndicator
	faults    []error
}

// New makes a site without pages.
func New(d Deps) (*Site, error) {
	if d.Bare == nil || d.Sessions == nil || d.Limiter == nil || d.Logger == nil {
		return nil, errors.New("the console's pages need services, sessions, a limiter and a log")
	}
	a, err := openAssets()
	if err != nil {
		return nil, err
	}
	s := &Site{Deps: d, mux: http.NewServeMux(), assets: a}
	s.people = people{conn: d.Service}
	if s.base, err = template.New("base").Funcs(s.functions()).ParseFS(ownTemplates, "templates/layout.html", "templates/partials.html"); err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	own, err := fs.Sub(ownTemplates, "templates/pages")
	if err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	s.core = s.Area(own)
	s.mux.Handle("GET /assets/{hash}/{name}", a)
	s.core.GET("/part/status", s.showStatusIndicator)
	return s, errors.Join(s.faults...)
}

// Handler answers for all pages; what is no page goes to next, unless a browser asks for it.
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
			// Who is not known learns not even what there is.
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
			return nil, fmt.Errorf("take forms of %s: %w", s.Origin, err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.fail(s.request(w, r, s.core), errCrossOrigin) }))
	pages := protection.Handler(s.mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSecurityHeaders(w.Header())
		pages.ServeHTTP(w, r)
	}), nil
}

// policy is what pages may do: show what this host gives, run its scripts, and no more. There are no inline scripts or styles.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func setSecurityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	// With no referrer at all, browsers say of our own forms that they are of nowhere (Origin: null), and those too old for Sec-Fetch-Site
	// could not be told from others.
	h.Set("Referrer-Policy", "same-origin")
	h.Add("Vary", "HX-Request")
}

// Handle answers what a page is asked for. An error is told by an error page, or in the page by a notice if htmx asked.
type Handle func(r *Request) error

// Area is a group of pages with templates of their own.
type Area struct {
	site  *Site
	views map[string]*template.Template
}

// Area adds a group of pages. Each file of templates is a page, named like the file without `.html`; files that begin with `_`
// are parts that all of the area's pages may use.
func (s *Site) Area(templates fs.FS) *Area {
	a := &Area{site: s, views: map[string]*template.Template{}}
	if err := a.parse(templates); err != nil {
		s.faults = append(s.faults, err)
	}
	return a
}

// GET adds a page that everybody who is signed in may see. The pattern is a path as http.ServeMux has it, e.g. /events/{id}.
func (a *Area) GET(path string, h Handle) { a.route("GET "+path, rpc.RoleViewer, h) }

// POST adds what people of a role, or of a greater one, may do.
func (a *Area) POST(path string, least rpc.Role, h Handle) { a.route("POST "+path, least, h) }

// Page adds a page that only people of a role, or of a greater one, may see.
func (a *Area) Page(path string, least rpc.Role, h Handle) { a.route("GET "+path, least, h) }

// Open adds what is answered without signing in. The pattern begins with a method.
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
		// ServeMux panics on a pattern that is wrong or there already; the site's maker is told instead.
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
