package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/outbound-events/outbound/pkg/rpc"
)

const (
	claimEmailVerified = "email_verified"
	// claimNames and claimHasGroups say which claims are elsewhere: OIDC Core 1.0, 5.6.2, and Microsoft Entra ID where groups are too many.
	claimNames     = "_claim_names"
	claimHasGroups = "hasgroups"
)

// claimAt finds a claim by its name, which may contain dots, or by the path to it through objects. A null is none.
func claimAt(claims map[string]any, path string) (any, bool) {
	if v := claims[path]; v != nil {
		return v, true
	}
	for i, c := range path {
		if c != '.' {
			continue
		}
		if inner, ok := claims[path[:i]].(map[string]any); ok {
			if v, ok := claimAt(inner, path[i+1:]); ok {
				return v, true
			}
		}
	}
	return nil, false
}

// lacks reports whether a claim is missing that the options need.
func (o OIDCOptions) lacks(claims map[string]any) bool {
	for _, path := range []string{o.UsernameClaim, o.RoleClaim} {
		if _, ok := claimAt(claims, path); !ok && path != "" {
			return true
		}
	}
	return o.UsernameClaim == claimEmail && claims[claimEmailVerified] == nil
}

// askUserinfo adds to the claims of an ID token what the userinfo endpoint has beside them (OIDC Core 1.0, 5.3). Claims of another
// subject must not be used.
func (p *OIDC) askUserinfo(ctx context.Context, provider *oidc.Provider, accessToken string, who person) error {
	// Some providers send another token_type than they take.
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: accessToken, TokenType: "Bearer"})
	info, err := provider.UserInfo(ctx, source)
	if err != nil {
		return fmt.Errorf("ask the userinfo endpoint: %.300s", err.Error())
	}
	if info.Subject != who.subject {
		return errors.New("the response of the userinfo endpoint is about another subject (sub) than the ID token: it is not used")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("read the response of the userinfo endpoint: %w", err)
	}
	// That an address is verified says nothing about another one.
	if has, _ := who.claims[claimEmail].(string); has != "" {
		if email, _ := more[claimEmail].(string); !strings.EqualFold(email, has) {
			delete(more, claimEmailVerified)
		}
	}
	fill(who.claims, more)
	return nil
}

// fill adds claims that are missing, within objects too.
func fill(claims, more map[string]any) {
	for name, v := range more {
		have, isObject := claims[name].(map[string]any)
		inner, alsoObject := v.(map[string]any)
		switch {
		case claims[name] == nil:
			claims[name] = v
		case isObject && alsoObject:
			fill(have, inner)
		}
	}
}

// isTrue reads a boolean, which some providers send as text.
func isTrue(v any) bool {
	text, _ := v.(string)
	yes, _ := v.(bool)
	return yes || strings.EqualFold(text, "true")
}

var errRoles = errors.New("the role claim can't be read")

// rolesIn reads the values of a role claim: a list, a string separated by commas, or an object with the roles as names. It returns errRoles
// for anything else, so that nobody gets a lesser role in silence.
func rolesIn(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		out := []string{v}
		for part := range strings.SplitSeq(v, ",") {
			out = append(out, strings.TrimSpace(part))
		}
		return out, nil
	case []any:
		var out []string
		for _, x := range v {
			text, ok := x.(string)
			if !ok {
				return nil, errRoles
			}
			out = append(out, text)
		}
		return out, nil
	case map[string]any:
		return slices.Collect(maps.Keys(v)), nil
	default:
		return nil, errRoles
	}
}

// roleOf returns the highest role among values, or 0.
func (o OIDCOptions) roleOf(values []string) rpc.Role {
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

// elsewhere reports whether a provider says that it keeps a claim outside the token, as some do with groups that are too many for it.
func elsewhere(claims map[string]any, path string) bool {
	names, _ := claims[claimNames].(map[string]any)
	for name := range names {
		if path == name || strings.HasPrefix(path, name+".") {
			return true
		}
	}
	return path == "groups" && isTrue(claims[claimHasGroups])
}
