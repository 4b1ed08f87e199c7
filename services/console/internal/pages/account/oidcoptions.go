package account

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// OIDCOptions let people in whom an OpenID provider knows.
type OIDCOptions struct {
	// Issuer is the provider, e.g. https://login.example.com/realms/ops. Empty: nobody is let in by one.
	Issuer string `yaml:"issuer"`
	// ClientID is what the provider knows us by.
	ClientID string `yaml:"clientId"`
	// ClientSecretFile holds our secret at the provider. Empty: there is none (a public client; PKCE is used in any case).
	ClientSecretFile string `yaml:"clientSecretFile"`
	// Scopes are asked for. Default: openid, profile, email.
	Scopes []string `yaml:"scopes"`
	// UsernameClaim is the claim that names people. Default email, which the provider must have verified.
	UsernameClaim string `yaml:"usernameClaim"`
	// RoleClaim is the claim that says what people may do: a text or a list. Empty: a user of the same name here does.
	RoleClaim string `yaml:"roleClaim"`
	// Admins, Operators and Viewers are the values of RoleClaim that give these roles; the greatest counts.
	Admins    []string `yaml:"admins"`
	Operators []string `yaml:"operators"`
	Viewers   []string `yaml:"viewers"`
	// DefaultRole is for those to whom neither the claim nor a user of the same name gives one: viewer, operator, admin, or none,
	// which lets nobody else in. Default viewer.
	DefaultRole string `yaml:"defaultRole"`
	// Label is what the button says. Default: Sign in with OpenID Connect.
	Label string `yaml:"label"`
}

// DefaultOIDCOptions name people by their email address and make them viewers.
func DefaultOIDCOptions() OIDCOptions {
	return OIDCOptions{Scopes: []string{"openid", "profile", "email"}, UsernameClaim: claimEmail, DefaultRole: "viewer", Label: "Sign in with OpenID Connect"}
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
		f.Add("issuer", "%q is no address: give e.g. https://login.example.com", o.Issuer)
	}
	if o.ClientID == "" {
		f.Add("clientId", "is missing: give what the provider knows this console by")
	}
	if !slices.Contains(o.Scopes, "openid") {
		f.Add("scopes", "must hold openid")
	}
	if o.UsernameClaim == "" {
		f.Add("usernameClaim", "is missing: name the claim that names people, e.g. email")
	}
	if _, err := roleNamed(o.DefaultRole); err != nil {
		f.Add("defaultRole", "%v", err)
	}
	if o.RoleClaim == "" && len(o.Admins)+len(o.Operators)+len(o.Viewers) > 0 {
		f.Add("roleClaim", "is missing, but admins, operators or viewers are set")
	}
	return f.Err()
}

// roleNamed reads a role as options have it; `none` is no role, 0.
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
		return 0, fmt.Errorf("%q is no role: use viewer, operator, admin or none", word)
	}
}

// roleOf is the greatest role that a claim gives, or 0.
func (o OIDCOptions) roleOf(claims map[string]any) rpc.Role {
	if o.RoleClaim == "" {
		return 0
	}
	var values []string
	switch v := claims[o.RoleClaim].(type) {
	case string:
		values = []string{v}
	case []any:
		for _, x := range v {
			if text, ok := x.(string); ok {
				values = append(values, text)
			}
		}
	}
	for _, x := range []struct {
		role rpc.Role
		of   []string
	}{{rpc.RoleAdmin, o.Admins}, {rpc.RoleOperator, o.Operators}, {rpc.RoleViewer, o.Viewers}} {
		if slices.ContainsFunc(values, func(v string) bool { return slices.Contains(x.of, v) }) {
			return x.role
		}
	}
	return 0
}
