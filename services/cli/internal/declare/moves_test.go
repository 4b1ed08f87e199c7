package declare_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/cli/internal/clitest"
)

const concealedCRM = `{"recipients":[{"id":"crm","displayName":"CRM","enabled":true,"eventTypes":["a"],"etag":"7","http":{
	"url":"https://crm.example/?token=[redacted]","headers":{"X-A":"1","X-Api-Key":"[redacted]"},
	"auth":{"basic":{"username":"u","passwordSet":true}}}}]}`

func TestConcealedSecretsStayAndDeclaredOnesGoAlongWithAnotherAddress(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		args   []string
		want   []string
	}{
		"as it was shown": {fields: `url: "https://crm.example/?token=[redacted]", headers: {X-A: "1", X-Api-Key: "[redacted]"}`},
		"with its secret": {fields: `url: "https://crm.example/?token=canary", headers: {X-A: "1", X-Api-Key: canary}`},
		"written": {fields: `url: "https://crm.example/?token=canary", headers: {X-A: "1", X-Api-Key: canary}`,
			args: []string{"--write-secrets"}, want: []string{"http.headers", "http.url"}},
		"another header": {fields: `headers: {X-A: "2", X-Api-Key: canary}`, want: []string{"http.headers"}},
		"a header that is marked": {fields: `secretHeaders: [x-a], headers: {X-A: canary, X-Api-Key: "[redacted]"}`,
			want: []string{"http.headers", "http.secretHeaders"}},
		"another path": {fields: `url: "https://crm.example/2?token=canary"`, want: []string{"http.url"}},
		"another host with its secrets": {
			fields: `url: "https://other.example/?token=canary", headers: {X-A: "1", X-Api-Key: canary}, auth: {basic: {username: u, password: canary}}`,
			want:   []string{"http.auth", "http.headers", "http.url"}},
	} {
		s := clitest.Serve(t, withStored(stored{"recipients": concealedCRM}, nil))
		got, result := dryRun(t, s, "recipients: [{id: crm, http: {"+c.fields+"}}]", c.args...)
		if len(got.Steps) != 1 {
			t.Errorf("%s: %+v", name, result)
			continue
		}
		var fields []string
		for _, f := range got.Steps[0].Changes {
			fields = append(fields, f.Field)
		}
		slices.Sort(fields)
		if !slices.Equal(fields, c.want) || strings.Contains(result.Out, "canary") {
			t.Errorf("%s: changed are %q, want %q: %s", name, fields, c.want, result.Out)
		}
	}
}
