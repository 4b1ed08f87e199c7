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

// signIn is where people come in.
type signIn struct {
	site  *web.Site
	first *FirstStart
	oidc  *OIDC
}

// signInPage is what the sign-in's template shows.
type signInPage struct {
	Form *web.Form
	// Next is where the reader wanted to go.
	Next string
	// Users says that there are users here, OIDC is the label of another way in.
	Users bool
	OIDC  string
}

func (d signIn) show(r *web.Request) error {
	return d.form(r, &web.Form{Values: url.Values{}}, r.URL.Query().Get("next"))
}

func (d signIn) form(r *web.Request, form *web.Form, next string) error {
	return r.Render("sign-in", signInPage{Form: form, Next: web.LocalPath(next), Users: d.site.Service != nil, OIDC: d.oidc.label()})
}

// Attempts to sign in: for a name from one address, from one address, and for a name from anywhere. A tenth of them may come at
// once. Nobody can lock another out but by trying from everywhere.
const (
	attemptsPeriod     = 10 * time.Minute
	attemptsOfPair     = 50
	attemptsOfAddress  = 300
	attemptsForAnyName = 1000
)

// tooMany reports whether an attempt comes too early, and how long to wait. A token has no name, and cannot be guessed.
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

// refuse shows the form again.
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
		return web.Fail(http.StatusNotFound, "Password sign-in is not available", "This console runs without a services token. Sign in with a token.")
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
		d.note(r, web.Local)
		return d.refuse(r, form, http.StatusUnauthorized, "Incorrect name or password.")
	default:
		return err
	}
	return d.enter(r, form, web.Identity{
		Kind: web.Local, Name: u.GetName(), DisplayName: u.GetDisplayName(), Role: web.RoleOf(u.GetRole()), PasswordTime: u.GetPasswordTime().AsTime(),
	})
}

// token signs in the holder of the admin token or of an API token. The services are then called with that token.
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
		d.note(r, web.ByToken)
		return d.refuse(r, form, http.StatusUnauthorized, "Invalid token.")
	}
	access := outboundv1.NewAccessServiceClient(rpc.Bearing(d.site.Bare, token))
	self, err := access.GetSelf(r.Context(), &outboundv1.GetSelfRequest{})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unauthenticated, codes.PermissionDenied:
		d.note(r, web.ByToken)
		return d.refuse(r, form, http.StatusUnauthorized, "The token is invalid or cannot be used to sign in.")
	default:
		return err
	}
	return d.enter(r, form, web.Identity{Kind: web.ByToken, Name: self.GetName(), Role: web.RoleOf(self.GetRole()), Token: token})
}

// note logs that somebody was not let in, and where they came from. What they typed is not logged: passwords are typed into the wrong
// field, too. There are no more lines than the attempts that may be made.
func (d signIn) note(r *web.Request, kind web.Kind) {
	d.site.Logger.Warn("a sign-in was refused", telemetry.KeyClient, r.Client(), telemetry.KeyVia, string(kind))
}

// printable reports whether a text can be sent as a header.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

func (d signIn) enter(r *web.Request, form *web.Form, who web.Identity) error {
	return d.welcome(r, who, form.Get("next"))
}

// welcome begins a session and leads to where somebody wanted to go.
func (d signIn) welcome(r *web.Request, who web.Identity, next string) error {
	// What is known of users may be older than this one, or than their password.
	d.site.ForgetPeople()
	if err := r.SignIn(who); err != nil {
		return err
	}
	d.site.Logger.Info("somebody signed in", telemetry.KeyClient, r.Client(), telemetry.KeyVia, string(who.Kind), telemetry.KeyRole, who.Role.String())
	return r.Redirect(web.LocalPath(next))
}

func signOut(r *web.Request) error {
	r.SignOut()
	r.Flash(web.Good, "You have signed out.")
	return r.Redirect("/sign-in")
}
