// Package account serves the pages to sign in, to sign out and to manage the own account. It is the example of an area of pages.
package account

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

//go:embed templates
var templates embed.FS

// SignInMethods are the additional sign-in methods. Either may be nil.
type SignInMethods struct {
	First *FirstStart
	OIDC  *OIDC
}

// Register adds the pages of the area.
func Register(s *web.Site, methods SignInMethods) error {
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return err
	}
	a := s.Area(files)
	d := signIn{site: s, first: methods.First, oidc: methods.OIDC}
	a.Open("GET /sign-in", d.show)
	a.Open("POST /sign-in", d.password)
	a.Open("POST /sign-in/token", d.token)
	if d.oidc != nil {
		a.Open("GET /sign-in/oidc", d.toProvider)
		a.Open("GET "+callbackPath, d.fromProvider)
	}
	a.Open("POST /sign-out", d.signOut)
	a.Open("GET /setup", d.showSetup)
	a.Open("POST /setup", d.setup)
	a.GET("/account", show)
	a.POST("/account/password", rpc.RoleViewer, changePassword)
	return nil
}

// page is the data of the account page.
type page struct {
	Self *outboundv1.Self
	Form *web.Form
	// Local reports whether the user has a password to change.
	Local bool
}

// show shows the signed-in user.
func show(r *web.Request) error { return showAccount(r, &web.Form{}) }

func showAccount(r *web.Request, form *web.Form) error {
	self, err := r.API.Access.GetSelf(r.Context(), &outboundv1.GetSelfRequest{})
	if err != nil {
		return err
	}
	return r.Render("account", page{Self: self, Form: form, Local: r.Me.Kind == web.Local})
}

// changePassword changes the password of the signed-in user. All sessions of the user end, and the user signs in again.
func changePassword(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	if form.Raw("newPassword") != form.Raw("repeated") {
		form.Add("repeated", "does not match the new password")
	} else {
		_, err = r.API.Access.ChangePassword(r.Context(), &outboundv1.ChangePasswordRequest{
			CurrentPassword: form.Raw("currentPassword"), NewPassword: form.Raw("newPassword"),
		})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		r.Status(http.StatusUnprocessableEntity)
		return showAccount(r, form)
	}
	r.SignOut()
	r.Flash(web.Good, "Password changed. Sign in with the new password.")
	return r.Redirect("/sign-in")
}
