package settings

import (
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func userFields() []string {
	return []string{"name", "displayName", "role", "disabled", "password", "etag", "openidIssuer", "openidSubject"}
}

func tokenFields() []string {
	return []string{"displayName", "role", "recipientId", "expireTime", "neverExpires"}
}

// roles returns the options of the role field.
func roles() []web.Option {
	return []web.Option{
		{Value: "VIEWER", Label: "Viewer: read-only"}, {Value: "OPERATOR", Label: "Operator: manages recipients and deliveries"},
		{Value: "ADMIN", Label: "Admin: full access"},
	}
}

type usersPage struct {
	Form  *web.Form
	Users []*outboundv1.User
}

// Roles returns the options of the role field.
func (usersPage) Roles() []web.Option { return roles() }

func showUsers(r *web.Request) error { return renderUsers(r, &web.Form{}) }

func renderUsers(r *web.Request, form *web.Form) error {
	answer, err := r.API.Access.ListUsers(r.Context(), &outboundv1.ListUsersRequest{})
	if err != nil {
		return err
	}
	return r.Render("users", usersPage{Form: form, Users: answer.GetUsers()})
}

func addUser(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	u := &outboundv1.User{}
	if err := form.Read(u, userFields()...); err != nil {
		return err
	}
	u.Password = form.Raw("password")
	_, err = r.API.Access.CreateUser(r.Context(), &outboundv1.CreateUserRequest{User: u})
	if err != nil && !form.Refused(err) {
		return err
	}
	if form.Bad() {
		return renderInvalid(r, renderUsers, form)
	}
	r.Flash(web.Good, "User added.")
	return r.Redirect("/settings/users")
}

type userPage struct {
	Form *web.Form
	User *outboundv1.User
}

// Roles returns the options of the role field.
func (userPage) Roles() []web.Option { return roles() }

func showUser(r *web.Request) error { return renderUser(r, nil) }

func renderUser(r *web.Request, form *web.Form) error {
	answer, err := r.API.Access.ListUsers(r.Context(), &outboundv1.ListUsersRequest{})
	if err != nil {
		return err
	}
	for _, u := range answer.GetUsers() {
		if u.GetName() != r.PathValue("name") {
			continue
		}
		if form == nil {
			form = web.NewForm(nil)
			if err := form.Show(u, userFields()...); err != nil {
				return err
			}
		}
		return r.Render("user", userPage{Form: form, User: u})
	}
	return web.Fail(404, "User not found", "The user may have been deleted.")
}

func saveUser(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	u := &outboundv1.User{}
	if err := form.Read(u, userFields()...); err != nil {
		return err
	}
	u.Name, u.Password = r.PathValue("name"), form.Raw("password")
	_, err = r.API.Access.UpdateUser(r.Context(), &outboundv1.UpdateUserRequest{User: u})
	if err != nil && !form.Refused(err) {
		return err
	}
	if form.Bad() {
		return renderInvalid(r, renderUser, form)
	}
	r.Flash(web.Good, "User saved. The change applies to open sessions within seconds.")
	return r.Redirect("/settings/users")
}

func deleteUser(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	_, err = r.API.Access.DeleteUser(r.Context(), &outboundv1.DeleteUserRequest{Name: r.PathValue("name"), Etag: form.Get("etag")})
	return finish(r, err, "User deleted. Open sessions end within seconds.", "/settings/users")
}

type tokensPage struct {
	Form   *web.Form
	Tokens []*outboundv1.Token
	// Made is a new token, which is shown once.
	Made *outboundv1.CreateTokenResponse

	recipients []web.Option
}

// Roles returns the options of the role field.
func (tokensPage) Roles() []web.Option {
	return append(roles(), web.Option{Value: outboundv1.Role_RECEIVER.String(), Label: "Receiver: pulls the deliveries of one recipient"})
}

// Recipients returns the options of the recipient field.
func (p tokensPage) Recipients() []web.Option {
	return web.OrAny("None", p.Form.Get("recipientId"), p.recipients)
}

func showTokens(r *web.Request) error { return renderTokens(r, tokensPage{Form: &web.Form{}}) }

func renderTokens(r *web.Request, p tokensPage) error {
	answer, err := r.API.Access.ListTokens(r.Context(), &outboundv1.ListTokensRequest{})
	if err != nil {
		return err
	}
	p.Tokens, p.recipients = answer.GetTokens(), web.RecipientChoices(r.Context(), r.API)
	return r.Render("tokens", p)
}

func addToken(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	t := &outboundv1.Token{}
	if err := form.Read(t, tokenFields()...); err != nil {
		return err
	}
	var made *outboundv1.CreateTokenResponse
	if !form.Bad() {
		made, err = r.API.Access.CreateToken(r.Context(), &outboundv1.CreateTokenRequest{Token: t})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		return renderInvalid(r, func(r *web.Request, f *web.Form) error { return renderTokens(r, tokensPage{Form: f}) }, form)
	}
	return renderTokens(r, tokensPage{Form: &web.Form{}, Made: made})
}

func deleteToken(r *web.Request) error {
	_, err := r.API.Access.DeleteToken(r.Context(), &outboundv1.DeleteTokenRequest{Id: r.PathValue("id")})
	return finish(r, err, "Token revoked.", "/settings/tokens")
}
