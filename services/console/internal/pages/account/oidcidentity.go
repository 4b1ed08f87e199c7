package account

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// refusal is why a person whom the provider has identified may not sign in.
type refusal struct {
	*web.Failure
	// reason is for the log: one word, and what tells more without a name.
	reason, detail string
}

// Unwrap returns the words for the person.
func (r *refusal) Unwrap() error { return r.Failure }

func refuse(reason, title, text string) *refusal {
	return &refusal{Failure: &web.Failure{Status: http.StatusForbidden, Title: title, Text: text}, reason: reason}
}

// refused logs why a sign-in is refused.
func (d signIn) refused(r *web.Request, err error) error {
	var why *refusal
	if !errors.As(err, &why) {
		return err
	}
	fields := []any{telemetry.KeyClient, r.Client(), telemetry.KeyVia, string(web.ByOIDC), telemetry.KeyReason, why.reason}
	if why.detail != "" {
		fields = append(fields, telemetry.KeyDetail, why.detail)
	}
	d.site.Logger.Warn("sign-in refused", fields...)
	return why.Failure
}

// identity returns the identity of a person: that of the user who is linked to them, or one of the name that the provider gives them.
func (d signIn) identity(r *web.Request, who person) (web.Identity, error) {
	name, unnamed := d.oidc.o.nameOf(who)
	u, err := d.userOf(r.Context(), who, name)
	if err != nil {
		return web.Identity{}, err
	}
	if u == nil && unnamed != nil {
		return web.Identity{}, unnamed
	}
	display, _ := who.claims["name"].(string)
	out := web.Identity{Kind: web.ByOIDC, Name: name, DisplayName: printableName(display), Issuer: who.issuer, Subject: who.subject}
	if u != nil {
		out.Name, out.Linked = u.GetName(), true
	}
	if u.GetDisabled() {
		return out, refuse("disabled", "Your account is disabled", "Ask an administrator to enable the user "+u.GetName()+".")
	}
	return d.withRole(r, out, who, u)
}

// withRole gives an identity its role: by the claim, by the linked user, or the default.
func (d signIn) withRole(r *web.Request, out web.Identity, who person, u *outboundv1.User) (web.Identity, error) {
	o := d.oidc.o
	given, err := o.givenRole(who)
	if err != nil {
		var why *refusal
		if errors.As(err, &why) {
			return out, err
		}
		return out, d.providerFails(r, err)
	}
	out.Role, out.RoleGiven = given, given != 0
	switch {
	case out.RoleGiven:
	case u != nil:
		out.Role = web.RoleOf(u.GetRole())
	default:
		// Validate has checked the role.
		out.Role, _ = roleNamed(o.DefaultRole)
	}
	if _, sent := claimAt(who.claims, o.RoleClaim); o.RoleClaim != "" && !sent {
		d.site.Logger.Warn("the OpenID provider sent no role claim: add the scope of the claim to oidc.scopes, or correct oidc.roleClaim",
			telemetry.KeyClient, r.Client(), telemetry.KeyField, o.RoleClaim, telemetry.KeyRole, out.Role.String())
	}
	if out.Role == 0 {
		return out, refuse("no_role", "You have no role", "Ask an administrator to assign you a role.")
	}
	return out, nil
}

// givenRole returns the role by the role claim; 0 if that is not used, not sent, or has no value that counts. It is an error if a claim
// there is can't be had.
func (o OIDCOptions) givenRole(who person) (rpc.Role, error) {
	if o.RoleClaim == "" {
		return 0, nil
	}
	v, sent := claimAt(who.claims, o.RoleClaim)
	switch {
	case !sent && elsewhere(who.claims, o.RoleClaim):
		return 0, refuse("groups_overage", "The OpenID provider did not send your groups",
			"You are in more groups than fit into its token. Ask an administrator to have the provider send only the groups that are assigned to "+
				"this application, or to use application roles (oidc.roleClaim).")
	case !sent && who.userinfo != nil:
		return 0, who.userinfo
	case !sent:
		return 0, nil
	}
	values, err := rolesIn(v)
	if err != nil {
		return 0, refuse("role_claim_invalid", "The OpenID provider sent roles that cannot be read",
			"The claim "+o.RoleClaim+" must be a list of texts, or a text separated by commas. Ask an administrator to correct oidc.roleClaim.")
	}
	return o.roleOf(values), nil
}

// userOf returns the user who is linked to a person, or who is linked now because of the name; nil if there is none.
func (d signIn) userOf(ctx context.Context, who person, name string) (*outboundv1.User, error) {
	answer, err := outboundv1.NewAccessServiceClient(d.site.Service).SignInWithOpenID(ctx,
		&outboundv1.SignInWithOpenIDRequest{Issuer: who.issuer, Subject: who.subject, Name: name})
	if status.Code(err) == codes.FailedPrecondition {
		return nil, refuse("name_taken", "Your user name belongs to another user", status.Convert(err).Message())
	}
	if err != nil {
		return nil, err
	}
	if answer.GetLinked() {
		d.site.Logger.Info("user linked to a person of the OpenID provider", telemetry.KeyVia, string(web.ByOIDC))
	}
	return answer.GetUser(), nil
}

const noName = "The OpenID provider did not send a valid user name"

// nameOf returns the name that the provider gives a person; empty with a refusal, which counts unless the person has a user.
func (o OIDCOptions) nameOf(who person) (string, error) {
	claim, sent := claimAt(who.claims, o.UsernameClaim)
	name, isText := claim.(string)
	name = strings.ToLower(name)
	no := func(reason, text string) (string, error) {
		r := refuse(reason, noName, text)
		r.detail = "the claim is " + o.UsernameClaim + who.unheard()
		return "", r
	}
	switch {
	case !sent || name == "" && isText:
		return no("name_missing", "It must send the claim "+o.UsernameClaim+
			", in the ID token or at its userinfo endpoint. Ask an administrator to check oidc.scopes and oidc.usernameClaim.")
	case name == rpc.RoleAdmin.String() || name == "outbound":
		return no("name_reserved", "The name "+name+" is reserved: Outbound itself and its admin token use it in the list of changes. "+
			"Ask an administrator to use another claim (oidc.usernameClaim, e.g. email), or to link a user to your account.")
	case !isText || !usable(name):
		return no("name_invalid", "The claim "+o.UsernameClaim+" must be a text of at most 200 characters, without spaces.")
	case o.UsernameClaim == claimEmail:
		return o.verified(who, name)
	default:
		return name, nil
	}
}

// unheard tells why the userinfo endpoint gave nothing, if so.
func (p person) unheard() string {
	if p.userinfo == nil {
		return ""
	}
	return "; " + p.userinfo.Error()
}

// verified returns an address if the provider has verified it. Somebody else's may be typed otherwise.
func (o OIDCOptions) verified(who person, address string) (string, error) {
	v := who.claims[claimEmailVerified]
	if isTrue(v) {
		return address, nil
	}
	r := refuse("email_not_verified", "Your email address is not verified",
		"Verify your email address with the OpenID provider, then sign in again.")
	if v == nil {
		r = refuse("email_verified_missing", "The OpenID provider does not say that your email address is verified",
			"An address that is not verified could be anybody's. Ask an administrator to have the provider send the claim email_verified, "+
				"or to use another claim as user name, e.g. oidc.usernameClaim: preferred_username.")
		r.detail = "the claim email_verified is missing: have the provider send it, or set oidc.usernameClaim" + who.unheard()
	}
	return "", r
}

// maxName is the length limit of a name.
const maxName = 200

// usable reports whether a name of the provider can be the actor of a revision. It must differ from a token (`token x`).
func usable(name string) bool {
	return name != "" && len(name) <= maxName && name == printableName(name) && !strings.ContainsFunc(name, unicode.IsSpace)
}

// printableName removes control and formatting characters.
func printableName(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxName {
		return strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}
