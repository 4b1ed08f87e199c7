package rpc_test

import (
	"strings"
	"testing"
)

func TestRESTNamesTheWordsThereAre(t *testing.T) {
	url := rest(t, &recipients{})
	for name, c := range map[string]struct {
		method, path, body string
		want               []string
	}{
		"query": {"GET", "/v1/deliveries?state=FOO", "", []string{
			`{"field":"state","description":"\"FOO\" is not known: use WAITING, RETRYING, DELIVERED, EXPIRED, REJECTED, SKIPPED, CANCELLED","reason":"UNKNOWN_WORD"}`}},
		"query inside": {"GET", "/v1/deliveries:tail?filter.state=FOO", "", []string{`"field":"filter.state"`, "use WAITING, "}},
		"body": {"PATCH", "/v1/settings/smtp", `{"encryption":"FOO"}`,
			[]string{`{"field":"encryption","description":"\"FOO\" is not known: use NONE, STARTTLS, TLS","reason":"UNKNOWN_WORD"}`}},
		"all at once": {"POST", "/v1/recipients",
			`{"while_disabled":"KEEP","http":{"format":"XML","signingSecrets":[{},{"kind":"RSA"}]}}`, []string{
				`"field":"whileDisabled"`, `"field":"http.format"`, `"field":"http.signingSecrets[1].kind"`, "use SKIP, HOLD", "use FORM, JSON"}},
		"whole body": {"POST", "/v1/recipients:preview", `{"recipient":{"http":{"order":"SOON"}}}`,
			[]string{`"field":"recipient.http.order"`, "use NONE, STRICT"}},
	} {
		a := ask(t, c.method, url+c.path, c.body)
		text := strings.NewReplacer(`": "`, `":"`, `", "`, `","`).Replace(a.text)
		if a.code != 400 || strings.Contains(text, "violations ") || strings.Contains(text, "_UNSPECIFIED") {
			t.Errorf("%s: answered %d %s", name, a.code, a.text)
		}
		for _, want := range append(c.want, "google.rpc.BadRequest") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: answer lacks %s: %s", name, want, text)
			}
		}
	}
	for _, path := range []string{"/v1/deliveries?state=WAITING", "/v1/deliveries?state=1",
		"/v1/deliveries?state=DELIVERY_STATE_UNSPECIFIED"} {
		if a := ask(t, "GET", url+path, ""); strings.Contains(a.text, "UNKNOWN_WORD") {
			t.Errorf("%s: a word there is is refused: %s", path, a.text)
		}
	}
}
