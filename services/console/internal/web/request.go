package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Me is who is signed in.
type Me struct {
	// Name is what revisions and replays name; DisplayName is what the page shows.
	Name, DisplayName string
	Role              rpc.Role
	// Kind is how they signed in.
	Kind Kind
}

// Kind is how somebody signed in.
type Kind string

// The kinds.
const (
	// Local is a user with a password that we keep.
	Local Kind = "user"
	// ByToken is the holder of the admin token or of an API token.
	ByToken Kind = "token"
	// ByOIDC is somebody that an OpenID provider knows.
	ByOIDC Kind = "oidc"
)

// SignedIn reports whether anybody is.
func (m Me) SignedIn() bool { return m.Role != 0 }

// Operates reports whether they may manage recipients and deliveries.
func (m Me) Operates() bool { return m.may(rpc.RoleOperator) }

// Admins reports whether they may manage settings, appliances, users and tokens.
func (m Me) Admins() bool { return m.may(rpc.RoleAdmin) }

// RoleWord is the role as people read it.
func (m Me) RoleWord() string { return m.Role.String() }

func (m Me) may(least rpc.Role) bool { return rank(m.Role) >= rank(least) && rank(m.Role) > 0 }

// rank orders the roles of people; nobody else has one.
func rank(r rpc.Role) int {
	switch r {
	case rpc.RoleViewer:
		return 1
	case rpc.RoleOperator:
		return 2
	case rpc.RoleAdmin:
		return 3
	default:
		return 0
	}
}

// API are the services, called as whoever is signed in: what they may not do, the services refuse.
type API struct {
	Recipients outboundv1.RecipientServiceClient
	Settings   outboundv1.SettingsServiceClient
	Access     outboundv1.AccessServiceClient
	Events     outboundv1.EventServiceClient
	Deliveries outboundv1.DeliveryServiceClient
	Status     outboundv1.StatusServiceClient
}

func newAPI(conn grpc.ClientConnInterface) API {
	return API{
		Recipients: outboundv1.NewRecipientServiceClient(conn), Settings: outboundv1.NewSettingsServiceClient(conn),
		Access: outboundv1.NewAccessServiceClient(conn), Events: outboundv1.NewEventServiceClient(conn),
		Deliveries: outboundv1.NewDeliveryServiceClient(conn), Status: outboundv1.NewStatusServiceClient(conn),
	}
}

// Request is one question of a browser and its answer.
type Request struct {
	*http.Request
	W http.ResponseWriter
	// Me is who asks; API calls the services as them.
	Me  Me
	API API

	site    *Site
	area    *Area
	session string
	flashes []Flash
	// status is what the answer begins with; 0: 200.
	status int
}

func (s *Site) request(w http.ResponseWriter, r *http.Request, a *Area) *Request {
	if s.MaxBody > 0 && r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, s.MaxBody)
	}
	return &Request{Request: r, W: w, site: s, area: a}
}

// Site is the site that the request is of.
func (r *Request) Site() *Site { return r.site }

// Part reports whether htmx asks for a part of a page, and not the browser for the whole.
func (r *Request) Part() bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Boosted") == "" && r.Header.Get("HX-History-Restore-Request") == ""
}

// Status sets the status of the answer that is rendered next, e.g. http.StatusUnprocessableEntity for a form with faults.
func (r *Request) Status(code int) { r.status = code }

// Redirect sends the browser to another page of ours.
func (r *Request) Redirect(path string) error {
	r.keepFlashes()
	if r.Header.Get("HX-Request") == "true" {
		r.W.Header().Set("HX-Redirect", path)
		r.W.WriteHeader(http.StatusOK)
		return nil
	}
	http.Redirect(r.W, r.Request, path, http.StatusSeeOther)
	return nil
}

// toSignIn sends somebody unknown to where they sign in, and back afterwards.
func (r *Request) toSignIn() error {
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		// 204 tells an EventSource not to come back.
		r.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	next := r.URL.RequestURI()
	if r.Header.Get("HX-Request") == "true" || r.Method != http.MethodGet {
		next = "/"
		if u, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil && u.Path != "" {
			next = u.RequestURI()
		}
	}
	path := "/sign-in"
	if next = LocalPath(next); next != "/" {
		path += "?next=" + url.QueryEscape(next)
	}
	return r.Redirect(path)
}

// LocalPath is a path of this site, or `/` for anything that could lead elsewhere.
func LocalPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

// Flash is a notice that is shown once.
type Flash struct {
	Tone Tone   `json:"tone"`
	Text string `json:"text"`
}

// Tone is how a notice sounds.
type Tone string

// The tones.
const (
	Good Tone = "good"
	Note Tone = "note"
	Bad  Tone = "bad"
)

// Flash shows a notice in the page that comes next, also behind a redirect.
func (r *Request) Flash(tone Tone, text string) { r.flashes = append(r.flashes, Flash{tone, text}) }

const flashCookie = "__Host-outbound-flash"

// flashAge is how long a notice waits for its page.
const flashAge = time.Minute

func (r *Request) keepFlashes() {
	if len(r.flashes) == 0 {
		return
	}
	// A notice is text of ours, and short.
	b, err := json.Marshal(r.flashes)
	if err != nil || len(b) > 2048 {
		return
	}
	http.SetCookie(r.W, HostCookie(flashCookie, base64.RawURLEncoding.EncodeToString(b), flashAge))
}

// takeFlashes gives the notices to show now.
func (r *Request) takeFlashes() []Flash {
	c, err := r.Cookie(flashCookie)
	if err == nil && c.Value != "" {
		http.SetCookie(r.W, HostCookie(flashCookie, "", -time.Second))
		var kept []Flash
		if b, err := base64.RawURLEncoding.DecodeString(c.Value); err == nil && json.Unmarshal(b, &kept) == nil {
			r.flashes = append(kept, r.flashes...)
		}
	}
	taken := r.flashes
	r.flashes = nil
	return taken
}

// HostCookie is a cookie that only this host gets, and no script reads. Browsers keep such cookies on https and on loopback.
func HostCookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(age.Seconds())}
}
