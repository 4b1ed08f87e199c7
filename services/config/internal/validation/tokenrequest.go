package validation

import (
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/token"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// TokenRequest adds what is wrong with the scopes and the further parameters of requests to a token endpoint, below field.
func (v *Violations) TokenRequest(field string, scopes []string, parameters []*outboundv1.OAuth2Parameter) {
	for i, scope := range scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			v.Add(fmt.Sprintf("%s.scopes[%d]", field, i), Invalid, "is not a scope: list each scope separately, without spaces and quotes")
		}
	}
	for i, p := range parameters {
		if err := token.CheckParameter(p.GetName(), len(scopes) > 0); err != nil {
			v.Add(fmt.Sprintf("%s.parameters[%d].name", field, i), Reserved, err.Error())
		}
	}
}
