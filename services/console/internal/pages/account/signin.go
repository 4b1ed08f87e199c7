package account

import (
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/throttle"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// signIn handles the sign-in pages.
type signIn struct {
	site  *web.Site
	first *FirstStart
	oidc  *OIDC
}

// signInPage is the data of the sign-in page.
type signInPage struct {
	Form *web.Form
	// Next is the page to open after sign-in.
	Next string
	// Users reports whether users can sign in with passwords. OIDC is the label of the OpenID button; empty for none.
	Users bool
	OIDC  string
}

func (d signIn) show(r *web.Request) error {
	return d.form(r, &web.Form{Values: url.Values{}}, r.URL.Query().Get("next"))
}

func (d signIn) form(r *web.Request, form *web.Form, next string) error {
	return r.Render("sign-in", signInPage{Form: form, Next: web.LocalPath(next), Users: d.site.Service != nil, OIDC: d.oidc.label()})
}

// The limits of sign-in attempts: per name and address, per address, and per name. A tenth of them may be made in a burst. Locking
// out a user takes attempts from many addresses.
const (
	attemptsPeriod     = 10 * time.Minute
	attemptsOfPair     = 50
	attemptsOfAddress  = 300
	attemptsForAnyName = 1000
)

// tooMany returns how long the client must wait before another attempt; 0 for not at all. A sign-in with a token has no name.
func (d signIn) tooMany(r *web.Request, name string) time.Duration {
	address := r.Client()
	var wait time.Duration
	keys := map[string]int{"sign-in:address:" + address: attemptsOfAddress}
	if name != "" {
		keys["sign-in:pair:"+address+":"+name], keys["sign-in:name:"+name] = attemptsOfPair, attemptsForAnyName
	}
	for key, turns := range keys {
		wait = max(wait, d.site.Limiter.Take(r.Context(), key, throttle.Limit{Turns: turns, Period: attemptsPeriod}))
	}
	return wait
}

// refuse shows the form with a notice.
func (d signIn) refuse(r *web.Request, form *web.Form, code int, notice string) error {
	form.Notice = notice
	r.Status(code)
	return d.form(r, form, form.Get("next"))
}

func (d signIn) refuseTooMany(r *web.Request, form *web.Form, wait time.Duration) error {
	wait = wait.Truncate(time.Second) + time.Second
	r.W.Header().Set("Retry-After", web.Seconds(wait))
	return d.refuse(r, form, http.StatusTooManyRequests, "Too many sign-in attempts. Try again in "+web.Words(wait)+".")
}

// password signs in a user with a password.
func (d signIn) password(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	if d.site.Service == nil {
		return web.Fail(http.StatusNotFound, "Password sign-in is not available",
			"This console runs without a services token. Sign in with a token.")
	}
	name := form.Get("name")
	if wait := d.tooMany(r, name); wait > 0 {
		return d.refuseTooMany(r, form, wait)
	}
	access := outboundv1.NewAccessServiceClient(d.site.Service)
	u, err := access.SignIn(r.Context(), &outboundv1.SignInRequest{Name: name, Password: form.Raw("password")})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unauthenticated, codes.InvalidArgument:
		d.logRefusal(r, web.Local)
		return d.refuse(r, form, http.StatusUnauthorized, "Incorrect name or password.")
	default:
		return err
	}
	return d.startSession(r, form.Get("next"), web.Identity{
		Kind: web.Local, Name: u.GetName(), DisplayName: u.GetDisplayName(), Role: web.RoleOf(u.GetRole()),
		PasswordTime: u.GetPasswordTime().AsTime(),
	})
}

// token signs in with the admin token or an API token. The session calls the services with that token.
func (d signIn) token(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	if wait := d.tooMany(r, ""); wait > 0 {
		return d.refuseTooMany(r, form, wait)
	}
	token := form.Get("token")
	if token == "" || !printable(token) {
		d.logRefusal(r, web.ByToken)
		return d.refuse(r, form, http.StatusUnauthorized, "Invalid token.")
	}
	access := outboundv1.NewAccessServiceClient(rpc.Bearing(d.site.Bare, token))
	self, err := access.GetSelf(r.Context(), &outboundv1.GetSelfRequest{})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unauthenticated, codes.PermissionDenied:
		d.logRefusal(r, web.ByToken)
		return d.refuse(r, form, http.StatusUnauthorized, "The token is invalid or cannot be used to sign in.")
	default:
		return err
	}
	return d.startSession(r, form.Get("next"),
		web.Identity{Kind: web.ByToken, Name: self.GetName(), Role: web.RoleOf(self.GetRole()), Token: token})
}

// logRefusal logs a refused sign-in and its client address. It does not log the name, because users type passwords into the wrong field.
// The limits of attempts bound the number of lines.
func (d signIn) logRefusal(r *web.Request, kind web.Kind) {
	d.site.Logger.Warn("sign-in refused", telemetry.KeyClient, r.Client(), telemetry.KeyVia, string(kind))
	if kind != web.Local {
		// The config service audits passwords itself.
		d.record(r, &outboundv1.RecordSessionRequest{Kind: outboundv1.RecordSessionRequest_REFUSED, Method: string(kind),
			Reason: "sign-in refused"})
	}
}

// record writes to the audit log what the services do not see: sessions. That it can't be written keeps nobody out.
func (d signIn) record(r *web.Request, q *outboundv1.RecordSessionRequest) {
	if d.site.Service == nil {
		return
	}
	if _, err := outboundv1.NewAuditServiceClient(d.site.Service).RecordSession(r.Context(), q); err != nil {
		d.site.Logger.Warn("session not audited", telemetry.KeyVia, q.GetMethod(), telemetry.KeyError, err.Error())
	}
}

// printable reports whether a text is valid in a header.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// startSession starts a session and redirects to the next page.
func (d signIn) startSession(r *web.Request, next string, who web.Identity) error {
	// The cached users may be older than this user or their password.
	d.site.ForgetUsers()
	if err := r.SignIn(who); err != nil {
		return err
	}
	if who.Kind == web.ByToken {
		// The config service audits the others itself.
		d.record(r, &outboundv1.RecordSessionRequest{Kind: outboundv1.RecordSessionRequest_SIGNED_IN, Name: who.Name, Method: string(who.Kind)})
	}
	d.site.Logger.Info("signed in", telemetry.KeyClient, r.Client(), telemetry.KeyVia, string(who.Kind), telemetry.KeyRole, who.Role.String())
	return r.Redirect(web.LocalPath(next))
}

func (d signIn) signOut(r *web.Request) error {
	if who := r.Who(); who.SignedIn() {
		d.record(r, &outboundv1.RecordSessionRequest{Kind: outboundv1.RecordSessionRequest_SIGNED_OUT, Name: who.Name, Method: string(who.Kind)})
	}
	r.SignOut()
	r.Flash(web.Good, "You have signed out.")
	return r.Redirect("/sign-in")
}
