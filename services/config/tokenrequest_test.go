package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Parameters of token requests are checked alike for receivers and for the relay, and come back as they were set.
func TestParametersOfTokenRequestsAreCheckedAtSave(t *testing.T) {
	h := start(t)
	h.create(httpRecipient("r"))
	type parameters = []*outboundv1.OAuth2Parameter
	save := map[string]func(scopes []string, p parameters) (parameters, error){
		"http.auth.oauth2.": func(scopes []string, p parameters) (parameters, error) {
			r, err := h.setAuth(withOAuth2(&outboundv1.OAuth2ClientCredentials{TokenUrl: "https://token.example.com/", ClientId: "outbound",
				ClientSecret: "s", Scopes: scopes, Parameters: p}))
			return r.GetHttp().GetAuth().GetOauth2().GetParameters(), err
		},
		"oauth2.": func(scopes []string, p parameters) (parameters, error) {
			relay := byToken()
			relay.Oauth2.Scopes, relay.Oauth2.Parameters = scopes, p
			out, err := h.relay(relay)
			return out.GetOauth2().GetParameters(), err
		},
	}
	good := parameters{{Name: "audience", Value: "https://api.example.com/"}, {Name: "resource", Value: "https://a.example.com"},
		{Name: "resource", Value: "https://b.example.com"}, {Name: "x-own.name_1"}}
	for prefix, save := range save {
		got, err := save([]string{"smtp"}, good)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(good) {
			t.Fatalf("%s: got %v, %v", prefix, got, err)
		}
		if _, err = save(nil, parameters{{Name: "scope", Value: "a,b"}}); err != nil {
			t.Errorf("%s: scope without scopes: %v", prefix, err)
		}
		_, err = save([]string{"smtp"}, parameters{{Name: "grant_type"}, {Name: "client_id"}, {Name: "client_secret"}, {Name: "scope"},
			{Name: "refresh_token"}, {Name: "a b"}, {}, {Name: "audience", Value: "a\r\nb"}})
		wantFields(t, err, prefix+"parameters[0].name", prefix+"parameters[1].name", prefix+"parameters[2].name", prefix+"parameters[3].name",
			prefix+"parameters[4].name", prefix+"parameters[5].name", prefix+"parameters[6].name", prefix+"parameters[7].value")
		for _, words := range []string{"grant_type", "client_secret", "is set by scopes"} {
			if err == nil || !strings.Contains(fmt.Sprint(rpc.ViolationsOf(err)), words) {
				t.Errorf("%s: %v does not tell of %s", prefix, err, words)
			}
		}
	}
}
