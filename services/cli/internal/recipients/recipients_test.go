package recipients_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/recipients"
)

// run runs `outbound recipients`.
func run(t *testing.T, s *clitest.Server, args ...string) clitest.Result {
	t.Helper()
	return s.Run(t, recipients.Command, append([]string{"recipients"}, args...)...)
}

// file writes a file of its own.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sent is the body of the only call with a method.
func sent(t *testing.T, s *clitest.Server, method string) map[string]any {
	t.Helper()
	calls := s.Calls(method)
	if len(calls) != 1 {
		t.Fatalf("%d calls of %s: %v", len(calls), method, calls)
	}
	out := map[string]any{}
	if err := json.Unmarshal([]byte(calls[0].Body), &out); err != nil {
		t.Fatalf("%v: %s", err, calls[0].Body)
	}
	return out
}

func TestCreateSendsWhatFlagsName(t *testing.T) {
	secret, text := file(t, "s3cret\n"), file(t, "{\"a\": 1}\n")
	for name, c := range map[string]struct {
		args []string
		want map[string]any
	}{
		"http": {
			[]string{"--id", "crm", "--disabled", "--name", "CRM", "--url", "https://crm.example", "--event", "a,b", "--event", "c",
				"--while-disabled", "hold",
				"--retry-interval", "90s", "--backoff", "1.5", "--success", "any-2xx", "--rate", "5", "--header", "X-A: 1", "--header",
				"X-B:2", "--body-template-file", text},
			map[string]any{"id": "crm", "enabled": false, "displayName": "CRM", "eventTypes": []any{"a", "b", "c"},
				"whileDisabled": "HOLD", "http": map[string]any{
					"url": "https://crm.example", "retryInterval": "90s", "backoff": map[string]any{"multiplier": 1.5}, "success": "ANY_2XX",
					"rateLimit": map[string]any{"limit": 5.0}, "headers": map[string]any{"X-A": "1", "X-B": "2"}, "bodyTemplate": "{\"a\": 1}\n",
				}},
		},
		"email": {
			[]string{"--name", "Desk", "--to", "a@example.com", "--to", "b@example.com", "--subject", "%EVENT%", "--require-external-key",
				"--subject-of", "a=One=1", "--body-file-of", "a=" + text, "--html-body-file-of", "b=" + text},
			map[string]any{"displayName": "Desk", "email": map[string]any{
				"addresses": []any{"a@example.com", "b@example.com"}, "subject": "%EVENT%", "requireExternalKey": true, "overrides": map[string]any{
					"a": map[string]any{"subject": "One=1", "body": "{\"a\": 1}\n"}, "b": map[string]any{"htmlBody": "{\"a\": 1}\n"},
				},
			}},
		},
		"signed": {
			[]string{"--name", "CRM", "--sign", "--sign-ed25519", "--signing-secret-file", secret},
			map[string]any{"displayName": "CRM", "http": map[string]any{"signingSecrets": []any{map[string]any{},
				map[string]any{"kind": "ED25519"}, map[string]any{"secret": "s3cret"}}}},
		},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients": clitest.JSON(`{"id":"made","warnings":["slow"],
			"http":{"signingSecrets":[{"id":"ss-1","secret":"whsec_x"}]}}`)})
		got := run(t, s, append([]string{"create"}, c.args...)...)
		if body := sent(t, s, http.MethodPost); !reflect.DeepEqual(body, c.want) {
			t.Errorf("%s: sent %v\nwant %v", name, body, c.want)
		}
		for _, want := range []string{"made", "slow", "whsec_x"} {
			if got.Code != exit.CodeOK || !strings.Contains(got.Out, want) {
				t.Errorf("%s: %q is not shown: %+v", name, want, got)
			}
		}
	}
}

func TestTheWaysToSignIn(t *testing.T) {
	secret, chain := file(t, "s3cret\n"), file(t, "CHAIN\n")
	ways := map[string]struct {
		args []string
		want map[string]any
	}{
		"basic": {[]string{"--basic-user", "u", "--password-file", secret},
			map[string]any{"basic": map[string]any{"username": "u", "password": "s3cret"}}},
		"bearer": {[]string{"--bearer-token-file", secret}, map[string]any{"bearer": map[string]any{"token": "s3cret"}}},
		"key": {[]string{"--api-key-header", "X-Key", "--api-key-file", secret},
			map[string]any{"apiKey": map[string]any{"header": "X-Key", "value": "s3cret"}}},
		"oauth2": {
			[]string{"--oauth2-token-url", "https://t.example", "--oauth2-client-id", "c", "--oauth2-client-secret-file", secret,
				"--oauth2-scope", "a,b", "--oauth2-param", "audience=https://a.example/?b=c", "--oauth2-param", "resource=x,y"},
			map[string]any{"oauth2": map[string]any{"tokenUrl": "https://t.example", "clientId": "c", "clientSecret": "s3cret",
				"scopes": []any{"a", "b"}, "parameters": []any{map[string]any{"name": "audience", "value": "https://a.example/?b=c"},
					map[string]any{"name": "resource", "value": "x,y"}}}},
		},
		"certificate": {[]string{"--client-cert-file", chain, "--client-key-file", secret},
			map[string]any{"clientCertificate": map[string]any{"certificatePem": "CHAIN\n", "privateKeyPem": "s3cret"}}},
	}
	for name, c := range ways {
		s := clitest.Serve(t, map[string]clitest.Answer{"PATCH /v1/recipients/crm": clitest.JSON(`{"id":"crm"}`)})
		got := run(t, s, append([]string{"update", "crm"}, c.args...)...)
		body := sent(t, s, http.MethodPatch)
		if !reflect.DeepEqual(body, map[string]any{"http": map[string]any{"auth": c.want}}) || got.Code != exit.CodeOK ||
			strings.Contains(got.Out, "s3cret") {
			t.Errorf("%s: sent %v, %+v", name, body, got)
		}
		if path := s.Calls("")[0].Path; path != "/v1/recipients/crm?updateMask=http.auth" {
			t.Errorf("%s: called %s", name, path)
		}
	}
	for name, args := range map[string][]string{
		"half of one": {"--basic-user", "u"}, "two": slices.Concat(ways["bearer"].args, ways["key"].args),
		"scopes alone": {"--oauth2-scope", "a"}, "parameters alone": {"--oauth2-param", "a=b"},
		"no parameter": append([]string{"--oauth2-param", "audience"}, ways["oauth2"].args...),
		"no secret":    {"--bearer-token-file", file(t, "\n")}, "no certificate": {"--client-cert-file", "/none/at/all",
			"--client-key-file", secret},
	} {
		s := clitest.Serve(t, nil)
		if got := run(t, s, append([]string{"update", "crm"}, args...)...); got.Code != exit.CodeUsage {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestUpdateJoinsAFileAndFlags(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"PATCH /v1/recipients/crm": clitest.JSON(`{"id":"crm","displayName":"CRM"}`)})
	s.In = "displayName: of the file\nenabled: false\nhttp: {timeout: 5s}\n"
	got := run(t, s, "update", "crm", "-f", "-", "--name", "CRM", "--etag", "7", "-o", "json")
	want := map[string]any{"displayName": "CRM", "enabled": false, "etag": "7", "http": map[string]any{"timeout": "5s"}}
	if body := sent(t, s, http.MethodPatch); !reflect.DeepEqual(body, want) {
		t.Errorf("sent %v", body)
	}
	if path := s.Calls("")[0].Path; path != "/v1/recipients/crm?updateMask=display_name%2Cenabled%2Chttp.timeout" ||
		!strings.Contains(got.Out, `"id": "crm"`) {
		t.Errorf("called %s: %+v", path, got)
	}
}

func TestWhatIsWrongIsSaidBeforeTheServerIsCalled(t *testing.T) {
	for _, args := range [][]string{
		{"update", "crm"}, {"update", "crm", "--header", "no colon"}, {"update", "crm", "--subject-of", "a"},
		{"update", "crm", "--body-file-of", "a=/none/at/all"},
		{"update", "crm", "-f", "/none/at/all"}, {"create", "-f", "-"}, {"create", "--order", "sideways"},
		{"create", "--signing-secret-file", "/none/at/all"},
		{"test", "crm", "--set", "no-pair"}, {"preview"}, {"preview", "a", "b"}, {"get"}, {"delete"},
	} {
		s := clitest.Serve(t, nil)
		s.In = "displayNam: x\n"
		if got := run(t, s, args...); got.Code != exit.CodeUsage || len(s.Calls("")) > 0 {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

const crm = `{"id":"crm","displayName":"CRM","enabled":true,"eventTypes":["a"],"http":{"url":"https://crm.example"}}`

func TestPlainCommands(t *testing.T) {
	answers := map[string]clitest.Answer{
		"GET /v1/recipients": clitest.JSON(`{"recipients":[` + crm + `,{"id":"desk","email":{"addresses":["a@example.com",
			"b@example.com"]},"deleteTime":"2026-11-21T10:00:00Z"}]}`),
		"GET /v1/status":               clitest.JSON(`{"recipients":[{"recipientId":"crm","health":"FAILING","queuedEvents":"12"}]}`),
		"GET /v1/recipients/crm":       clitest.JSON(crm),
		"PATCH /v1/recipients/crm":     clitest.JSON(crm),
		"DELETE /v1/recipients/crm":    clitest.JSON("{}"),
		"POST /v1/recipients/crm:test": clitest.JSON(`{"eventId":"outbound-test~1"}`),
		"POST /v1/recipients:testFilter": clitest.JSON(`{"matching":1,"results":[{"eventId":"a1~e-1","eventType":"a","matches":true},
			{"eventId":"a1~e-2","eventType":"a","error":"no such key"}]}`),
	}
	for name, c := range map[string]struct {
		args        []string
		path, holds string
	}{
		"list.txt":    {[]string{"list"}, "/v1/recipients?pageSize=1000&pageToken=", ""},
		"get.txt":     {[]string{"get", "crm"}, "/v1/recipients/crm", ""},
		"enable.txt":  {[]string{"enable", "crm"}, "/v1/recipients/crm?updateMask=enabled", `{"enabled":true}`},
		"disable.txt": {[]string{"disable", "crm"}, "/v1/recipients/crm?updateMask=enabled", `{"enabled":false}`},
		"delete.txt":  {[]string{"delete", "crm", "--etag", "7", "--yes"}, "/v1/recipients/crm?etag=7", ""},
		"test.txt":    {[]string{"test", "crm", "--event", "a", "--set", "x=1"}, "/v1/recipients/crm:test", `{"eventType":"a","data":{"x":"1"}}`},
		"filter.txt": {[]string{"test-filter", "true", "--event", "a", "--events", "5"}, "/v1/recipients:testFilter",
			`{"filter":"true","eventTypes":["a"],"events":5}`},
	} {
		s := clitest.Serve(t, answers)
		got := run(t, s, c.args...)
		call := s.Calls("")[0]
		if got.Code != exit.CodeOK || call.Path != c.path {
			t.Errorf("%s: called %s, %+v", name, call.Path, got)
		}
		if c.holds != "" && strings.ReplaceAll(call.Body, " ", "") != c.holds {
			t.Errorf("%s: sent %s, want %s", name, call.Body, c.holds)
		}
		golden.Check(t, name, []byte(got.Out))
	}
}

func TestTheListIsShownWithoutHealth(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/recipients": clitest.JSON(`{"recipients":[` + crm + `]}`),
		"GET /v1/status": clitest.Refusal(codes.Unavailable, "history is away")})
	if got := run(t, s, "list"); got.Code != exit.CodeOK || !strings.Contains(got.Out, "https://crm.example") ||
		!strings.Contains(got.Err, "history is away") {
		t.Errorf("got %+v", got)
	}
	if got := run(t, s, "list", "-o", "json"); got.Code != exit.CodeOK || got.Err != "" {
		t.Errorf("as JSON: %+v", got)
	}
}

func TestARefusalEndsACommand(t *testing.T) {
	answers := map[string]clitest.Answer{}
	for _, path := range []string{
		"GET /v1/recipients", "GET /v1/recipients/crm", "PATCH /v1/recipients/crm", "DELETE /v1/recipients/crm",
		"POST /v1/recipients", "POST /v1/recipients:testFilter",
		"POST /v1/recipients/crm:test", "POST /v1/recipients/crm:doctor", "POST /v1/recipients/crm:preview", "POST /v1/recipients/crm:purge",
	} {
		answers[path] = clitest.Refusal(codes.NotFound, "no such recipient")
	}
	for _, args := range []string{
		"list", "get crm", "enable crm", "delete crm --yes", "create --name x", "update crm --name x", "test crm", "test-filter true",
		"doctor crm", "preview crm", "purge crm --dry-run",
	} {
		if got := run(t, clitest.Serve(t, answers), strings.Fields(args)...); got.Code != exit.CodeNotFound || got.Out != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestPurgeWantsTheCount(t *testing.T) {
	for args, c := range map[string]struct {
		body string
		code int
	}{
		"purge crm --dry-run":  {`{"validateOnly":true}`, exit.CodeOK},
		"purge crm":            {`{"validateOnly":true}`, exit.CodeUsage},
		"purge crm --expect 3": {`{"expectedCount":"3"}`, exit.CodeOK},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients/crm:purge": clitest.JSON(`{"cancelled":"3"}`)})
		got := run(t, s, strings.Fields(args)...)
		if body := strings.ReplaceAll(s.Calls("")[0].Body, " ", ""); got.Code != c.code || body != c.body ||
			!strings.Contains(got.Out+got.Err, "3") {
			t.Errorf("%s: sent %s, %+v", args, body, got)
		}
	}
}

const healthy, sick = `{"healthy":true,"steps":[{"name":"url","ok":true,"tookMs":0.1},{"name":"tls","ok":true,"tookMs":12.34,
			"detail":"TLS 1.3"}]}`,
	`{"steps":[{"name":"url","ok":true},{"name":"tls","detail":"unknown authority","remedy":"pin it"}],"rootToPinPem":"PEM","presentedChain":[
		{"subject":"CN=crm","issuer":"CN=Root","notAfterTime":"2026-12-01T00:00:00Z","fingerprintSha256":"aa"},
		{"subject":"CN=Root","issuer":"CN=Root","notAfterTime":"2036-12-01T00:00:00Z","fingerprintSha256":"bb"}]}`

func TestDoctor(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		in      string
		args    []string
		code    int
		pins    bool
	}{
		"healthy":        {[]string{healthy}, "", nil, exit.CodeOK, false},
		"sick":           {[]string{sick}, "", nil, exit.CodeFailed, false},
		"json":           {[]string{sick}, "", []string{"-o", "json"}, exit.CodeFailed, false},
		"pinned":         {[]string{sick, healthy}, "yes\n", []string{"--pin"}, exit.CodeOK, true},
		"pinned-unasked": {[]string{sick, healthy}, "", []string{"--pin", "--yes", "-o", "json"}, exit.CodeOK, true},
		"not-pinned":     {[]string{sick}, "no\n", []string{"--pin"}, exit.CodeFailed, false},
		"nobody":         {[]string{sick}, "", []string{"--pin"}, exit.CodeUsage, false},
		"json-asks":      {nil, "yes\n", []string{"--pin", "-o", "json"}, exit.CodeUsage, false},
		"no-steps":       {[]string{"{}"}, "", nil, exit.CodeFailed, false},
	} {
		answers := make([]clitest.Answer, len(c.answers))
		for i, a := range c.answers {
			answers[i] = clitest.JSON(a)
		}
		s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients/crm:doctor": clitest.InTurn(answers...),
			"GET /v1/recipients/crm":   clitest.JSON(`{"id":"crm","etag":"E","http":{"caCertificatePem":"BEFORE\n"}}`),
			"PATCH /v1/recipients/crm": clitest.JSON(crm)})
		s.In = c.in
		got := run(t, s, append([]string{"doctor", "crm", "--post"}, c.args...)...)
		pins := s.Calls(http.MethodPatch)
		if got.Code != c.code || (len(pins) > 0) != c.pins || len(s.Calls(http.MethodPost)) != len(c.answers) {
			t.Errorf("%s: %+v, pinned %v", name, got, pins)
		}
		if c.pins && (!strings.Contains(pins[0].Body, `"BEFORE\nPEM"`) || !strings.HasSuffix(pins[0].Path, "=http.ca_certificate_pem")) {
			t.Errorf("%s: pinned %v", name, pins)
		}
		golden.Check(t, "doctor-"+name+".txt", []byte(got.Out))
	}
}

func TestPreview(t *testing.T) {
	request := `{"eventId":"a1~e-1","eventType":"a","matches":true,"http":{"method":"POST","url":"https://crm.example",
			"headers":[{"name":"X-A","value":"1"}],"body":"a\r\nb\u001b\n"}}`
	mail := `{"sample":true,"eventType":"a","reason":"the filter is false","email":{"to":["a@example.com","b@example.com"],
			"subject":"S","text":"one\ntwo\n","html":"<p>one</p>\n","source":"From: x\r\n\r\none\r\n"}}`
	plain := `{"sample":true,"email":{"from":"x@example.com","text":"one"}}`
	for name, c := range map[string]struct {
		answer string
		args   []string
		code   int
	}{
		"request":     {request, nil, exit.CodeOK},
		"mail":        {mail, []string{"--type", "a"}, exit.CodeOK},
		"plain":       {plain, nil, exit.CodeOK},
		"html":        {mail, []string{"--html"}, exit.CodeOK},
		"source":      {mail, []string{"--source"}, exit.CodeOK},
		"json":        {plain, []string{"-o", "json"}, exit.CodeOK},
		"no-html":     {plain, []string{"--html"}, exit.CodeUsage},
		"no-mail":     {request, []string{"--source"}, exit.CodeUsage},
		"html-json":   {mail, []string{"--html", "-o", "json"}, exit.CodeUsage},
		"html-source": {mail, []string{"--html", "--source"}, exit.CodeFailed},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/recipients/crm:preview": clitest.JSON(c.answer)})
		got := run(t, s, append([]string{"preview", "crm"}, c.args...)...)
		if got.Code != c.code {
			t.Errorf("%s: %+v", name, got)
		}
		if c.code == exit.CodeOK {
			golden.Check(t, "preview-"+name+".txt", []byte(got.Out))
		}
	}
}

func TestPreviewOfARecipientThatIsNotSaved(t *testing.T) {
	both := map[string]clitest.Answer{"POST /v1/recipients:preview": clitest.JSON("{}"), "POST /v1/recipients/crm:preview": clitest.JSON("{}")}
	for path, args := range map[string][]string{"/v1/recipients:preview": nil, "/v1/recipients/crm:preview": {"crm"}} {
		s := clitest.Serve(t, maps.Clone(both))
		s.In = "displayName: CRM\n"
		run(t, s, append([]string{"preview", "-f", "-", "--event", "a1~e-1"}, args...)...)
		body := sent(t, s, http.MethodPost)
		if s.Calls("")[0].Path != path || body["eventId"] != "a1~e-1" || !reflect.DeepEqual(body["recipient"],
			map[string]any{"displayName": "CRM"}) {
			t.Errorf("called %v", s.Calls(""))
		}
	}
}
