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

// Me is the signed-in user.
type Me struct {
	// Name is the actor in revisions and replays; DisplayName is shown in pages.
	Name, DisplayName string
	Role              rpc.Role
	// Kind is the sign-in method.
	Kind Kind
}

// Kind is a sign-in method.
type Kind string

// The kinds.
const (
	// Local is a user with a password.
	Local Kind = "user"
	// ByToken is the holder of the admin token or of an API token.
	ByToken Kind = "token"
	// ByOIDC is a user of an OpenID provider.
	ByOIDC Kind = "oidc"
)

// SignedIn reports whether a user is signed in.
func (m Me) SignedIn() bool { return m.Role != 0 }

// Operates reports whether the user may manage recipients and deliveries.
func (m Me) Operates() bool { return m.may(rpc.RoleOperator) }

// Admins reports whether the user may manage settings, appliances, users and tokens.
func (m Me) Admins() bool { return m.may(rpc.RoleAdmin) }

// RoleWord returns the role in words.
func (m Me) RoleWord() string { return m.Role.String() }

func (m Me) may(least rpc.Role) bool { return rank(m.Role) >= rank(least) && rank(m.Role) > 0 }

// rank orders the roles of users.
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

// API holds clients of the services that act as the signed-in user. The services check permissions.
type API struct {
	Recipients outboundv1.RecipientServiceClient
	Settings   outboundv1.SettingsServiceClient
	Access     outboundv1.AccessServiceClient
	Events     outboundv1.EventServiceClient
	Deliveries outboundv1.DeliveryServiceClient
	Status     outboundv1.StatusServiceClient
	Audit      outboundv1.AuditServiceClient
}

func newAPI(conn grpc.ClientConnInterface) API {
	return API{
		Recipients: outboundv1.NewRecipientServiceClient(conn), Settings: outboundv1.NewSettingsServiceClient(conn),
		Access: outboundv1.NewAccessServiceClient(conn), Events: outboundv1.NewEventServiceClient(conn),
		Deliveries: outboundv1.NewDeliveryServiceClient(conn), Status: outboundv1.NewStatusServiceClient(conn),
		Audit: outboundv1.NewAuditServiceClient(conn),
	}
}

// Request is a request of a browser and its response.
type Request struct {
	*http.Request
	W http.ResponseWriter
	// Me is the signed-in user; API calls the services as this user.
	Me  Me
	API API

	site    *Site
	area    *Area
	session string
	flashes []Flash
	// status is the status of the response; 0 means 200.
	status int
}

func (s *Site) request(w http.ResponseWriter, r *http.Request, a *Area) *Request {
	if s.MaxBody > 0 && r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, s.MaxBody)
	}
	return &Request{Request: r, W: w, site: s, area: a}
}

// Site returns the site of the request.
func (r *Request) Site() *Site { return r.site }

// Part reports whether htmx requests a part of a page.
func (r *Request) Part() bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-Boosted") == "" && r.Header.Get("HX-History-Restore-Request") == ""
}

// Status sets the status of the next rendered response, e.g. http.StatusUnprocessableEntity for a form with faults.
func (r *Request) Status(code int) { r.status = code }

// Redirect redirects the browser to another page of the site.
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

// toSignIn redirects to the sign-in page, which returns to this page afterwards.
func (r *Request) toSignIn() error {
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		// With 204 an EventSource does not reconnect.
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

// LocalPath returns the path if it is local to the site, else `/`.
func LocalPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return path
}

// Flash is a notice that is shown once.
type Flash struct {
	Tone Tone   `json:"tone"`
	Text string `json:"text"`
}

// Tone is the severity of a notice.
type Tone string

// The tones.
const (
	Good Tone = "good"
	Note Tone = "note"
	Bad  Tone = "bad"
)

// Flash shows a notice in the next page, also after a redirect.
func (r *Request) Flash(tone Tone, text string) { r.flashes = append(r.flashes, Flash{tone, text}) }

const flashCookie = "__Host-outbound-flash"

// flashAge is how long a notice waits for the next page.
const flashAge = time.Minute

func (r *Request) keepFlashes() {
	if len(r.flashes) == 0 {
		return
	}
	// Notices are short texts of the console.
	b, err := json.Marshal(r.flashes)
	if err != nil || len(b) > 2048 {
		return
	}
	http.SetCookie(r.W, HostCookie(flashCookie, base64.RawURLEncoding.EncodeToString(b), flashAge))
}

// takeFlashes returns and clears the notices. Those that wait are for the next page: a part that is asked for meanwhile, e.g. by a page
// that polls while its browser follows a redirect, leaves them.
func (r *Request) takeFlashes() []Flash {
	c, err := r.Cookie(flashCookie)
	if err == nil && c.Value != "" && !r.Part() {
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

// HostCookie returns a __Host- HttpOnly cookie. Browsers accept it over HTTPS and on loopback.
func HostCookie(name, value string, age time.Duration) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(age.Seconds())}
}
