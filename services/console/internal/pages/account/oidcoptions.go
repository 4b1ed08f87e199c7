package account

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// OIDCOptions configure the sign-in with an OpenID provider.
type OIDCOptions struct {
	// Issuer is the URL of the provider, e.g. https://login.example.com/realms/ops. Empty: no OpenID sign-in.
	Issuer string `yaml:"issuer"`
	// ClientID is the client id at the provider.
	ClientID string `yaml:"clientId"`
	// ClientSecretFile contains the client secret. Empty: a public client. PKCE is always used.
	ClientSecretFile string `yaml:"clientSecretFile"`
	// Scopes are the requested scopes. Default: openid, profile, email.
	Scopes []string `yaml:"scopes"`
	// UsernameClaim is the claim with the user name, or the path to it. Default: email, which the provider must have verified.
	UsernameClaim string `yaml:"usernameClaim"`
	// RoleClaim is the claim with the roles, or the path to it, e.g. realm_access.roles: a list, a string separated by commas, or an
	// object with the roles as names. Empty: the linked user determines the role.
	RoleClaim string `yaml:"roleClaim"`
	// Admins, Operators and Viewers are the values of RoleClaim for these roles; the highest role wins.
	Admins    []string `yaml:"admins"`
	Operators []string `yaml:"operators"`
	Viewers   []string `yaml:"viewers"`
	// DefaultRole is the role without a role by the claim or by a linked user: viewer, operator, admin, or none, which refuses the
	// sign-in. Default: viewer.
	DefaultRole string `yaml:"defaultRole"`
	// Label is the label of the button. Default: Sign in with OpenID Connect.
	Label string `yaml:"label"`
}

// DefaultOIDCOptions returns the default options: the email address is the user name, and the role is viewer.
func DefaultOIDCOptions() OIDCOptions {
	return OIDCOptions{Scopes: []string{"openid", "profile", "email"}, UsernameClaim: claimEmail, DefaultRole: "viewer",
		Label: "Sign in with OpenID Connect"}
}

const claimEmail = "email"

// Validate reports every fault at once.
func (o OIDCOptions) Validate() error {
	if o.Issuer == "" {
		return nil
	}
	var f process.Faults
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		f.Add("issuer", "%q is not a URL: use e.g. https://login.example.com", o.Issuer)
	}
	if o.ClientID == "" {
		f.Add("clientId", "is missing: set the client id of the console at the provider")
	}
	if !slices.Contains(o.Scopes, "openid") {
		f.Add("scopes", "must contain openid")
	}
	if o.UsernameClaim == "" {
		f.Add("usernameClaim", "is missing: set the claim with the user name, e.g. email")
	}
	if _, err := roleNamed(o.DefaultRole); err != nil {
		f.Add("defaultRole", "%v", err)
	}
	if o.RoleClaim == "" && len(o.Admins)+len(o.Operators)+len(o.Viewers) > 0 {
		f.Add("roleClaim", "is missing, but admins, operators or viewers are set")
	}
	return f.Err()
}

// roleNamed parses a role of the options. `none` is 0.
func roleNamed(word string) (rpc.Role, error) {
	switch word {
	case "viewer":
		return rpc.RoleViewer, nil
	case "operator":
		return rpc.RoleOperator, nil
	case "admin":
		return rpc.RoleAdmin, nil
	case "none":
		return 0, nil
	default:
		return 0, fmt.Errorf("%q is not a role: use viewer, operator, admin or none", word)
	}
}
