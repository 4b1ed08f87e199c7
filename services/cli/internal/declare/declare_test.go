package declare_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/declare"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// stored is what the server has, by path. What is not named is empty.
type stored map[string]string

// withStored answers reads with what is stored, checks with good and all else with more.
func withStored(have stored, more map[string]clitest.Answer) map[string]clitest.Answer {
	answers := map[string]clitest.Answer{"POST /v1/changes:check": checked(nil)}
	for _, path := range []string{"recipients", "appliances", "custom-fields", "event-types", "settings/smtp", "settings/email"} {
		answers["GET /v1/"+path] = clitest.JSON("{}")
	}
	for path, body := range have {
		answers["GET /v1/"+path] = clitest.JSON(body)
	}
	maps.Copy(answers, more)
	return answers
}

// checked answers a check of changes: with the results by the index of the change, and none wrong for the others.
func checked(results map[int]string) clitest.Answer {
	return func(r *http.Request) (int, string) {
		var q struct {
			Changes []json.RawMessage `json:"changes"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return http.StatusBadRequest, err.Error()
		}
		out := make([]string, len(q.Changes))
		for i := range out {
			out[i] = "{}"
			if x, ok := results[i]; ok {
				out[i] = x
			}
		}
		return http.StatusOK, `{"results":[` + strings.Join(out, ",") + `]}`
	}
}

// plan is what a dry run with -o json prints.
type plan struct {
	DryRun bool
	Steps  []step
}

type step struct {
	Action, Resource string
	Changes          []struct{ Field, From, To string }
	Notes, Missing   []string
	Faults           []struct{ Field, Description string }
}

// fields are the changed fields, as `name: from -> to`.
func (s step) fields() []string {
	var out []string
	for _, c := range s.Changes {
		out = append(out, c.Field+": "+c.From+" -> "+c.To)
	}
	return out
}

// dryRun plans a declaration.
func dryRun(t *testing.T, s *clitest.Server, declaration string, args ...string) (plan, clitest.Result) {
	t.Helper()
	s.In = declaration
	got := s.Run(t, declare.ApplyCommand, append([]string{"apply", "-f", "-", "--dry-run", "-o", "json"}, args...)...)
	var p plan
	if got.Out != "" {
		if err := json.Unmarshal([]byte(got.Out), &p); err != nil {
			t.Fatalf("%v: %s", err, got.Out)
		}
	}
	return p, got
}

const storedCRM = `{"recipients":[{"id":"crm","displayName":"CRM","enabled":true,"eventTypes":["a","b"],"etag":"7","http":{
	"url":"https://crm.example","retryInterval":"120s","headers":{"X-A":"1"},"backoff":{"multiplier":2,"ceiling":"3600s"},
	"rateLimit":{"limit":5,"period":"1s"},"auth":{"basic":{"username":"u","passwordSet":true}},
	"signingSecrets":[{"id":"ss-1","kind":"HMAC_SHA256"},{"id":"ss-2","kind":"HMAC_SHA256","expireTime":"2026-12-01T00:00:00Z"}]}}]}`

func TestTheDifferenceOfARecipient(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		args   []string
		want   []string
	}{
		"nothing named":           {fields: ``},
		"the same in other words": {fields: `eventTypes: [b, a], http: {retryInterval: 2m, url: "https://crm.example"}`},
		"a text":                  {fields: `displayName: The CRM`, want: []string{`displayName: "CRM" -> "The CRM"`}},
		"a list":                  {fields: `eventTypes: [a]`, want: []string{`eventTypes: ["a","b"] -> ["a"]`}},
		"a list that is emptied":  {fields: `eventTypes: []`, want: []string{`eventTypes: ["a","b"] -> []`}},
		"a switch":                {fields: `enabled: false`, want: []string{`enabled: true -> false`}},
		"a nested field":          {fields: `http: {timeout: 5s}`, want: []string{`http.timeout: (none) -> "5s"`}},
		"a map":                   {fields: `http: {headers: {X-B: "2"}}`, want: []string{`http.headers: {"X-A":"1"} -> {"X-B":"2"}`}},
		"the same map":            {fields: `http: {headers: {X-A: "1"}}`},
		"a message that is there": {fields: `http: {backoff: {}}`},
		"a message that is taken away": {fields: `http: {rateLimit: null}`,
			want: []string{`http.rateLimit: {"limit":5,"period":"1s"} -> (none)`}},
		"a message's field":         {fields: `http: {backoff: {multiplier: 3}}`, want: []string{`http.backoff.multiplier: 2 -> 3`}},
		"what only the server sets": {fields: `updateTime: "2020-01-01T00:00:00Z", warnings: [x]`},
		"a secret that is stored":   {fields: `http: {auth: {basic: {username: u, password: x}}}`},
		"a secret that is written": {fields: `http: {auth: {basic: {username: u, password: x}}}`,
			args: []string{"--write-secrets"}, want: []string{
				`http.auth: {"basic":{"password":"(secret)","username":"u"}} -> {"basic":{"password":"(secret)","username":"u"}}`,
			}},
		"another user": {fields: `http: {auth: {basic: {username: v, password: x}}}`,
			want: []string{`http.auth: {"basic":{"password":"(secret)","username":"u"}} -> {"basic":{"password":"(secret)","username":"v"}}`}},
		"signing secrets by id":    {fields: `http: {signingSecrets: [{SECOND}, {id: ss-1}]}`},
		"signing secrets by value": {fields: `http: {signingSecrets: [{secret: whsec_a}, {secret: whsec_b, ENDS}]}`},
		"one signing secret less":  {fields: `http: {signingSecrets: [{id: ss-1}]}`, want: []string{"http.signingSecrets"}},
		"one signing secret more":  {fields: `http: {signingSecrets: [{id: ss-1}, {SECOND}, {}]}`, want: []string{"http.signingSecrets"}},
		"a signing secret ends":    {fields: `http: {signingSecrets: [{id: ss-1, ENDS}, {SECOND}]}`, want: []string{"http.signingSecrets"}},
		"a signing secret that changes": {fields: `http: {signingSecrets: [{id: ss-1, kind: ED25519}, {SECOND}]}`,
			want: []string{"http.signingSecrets"}},
		"signing secrets are written": {fields: `http: {signingSecrets: [{id: ss-1, secret: x}, {SECOND}]}`,
			args: []string{"--write-secrets"}, want: []string{"http.signingSecrets"}},
	} {
		const ends = `expireTime: "2026-12-01T00:00:00Z"`
		c.fields = strings.NewReplacer("SECOND", "id: ss-2, "+ends, "ENDS", ends).Replace(c.fields)
		s := clitest.Serve(t, withStored(stored{"recipients": storedCRM}, nil))
		got, result := dryRun(t, s, "recipients: [{id: crm, "+c.fields+"}]", append(c.args, "--exit-code")...)
		if len(got.Steps) != 1 || got.Steps[0].Resource != "recipient crm" || !got.DryRun {
			t.Errorf("%s: %+v", name, result)
			continue
		}
		fields := got.Steps[0].fields()
		same := len(fields) == len(c.want)
		for i := range c.want {
			same = same && strings.HasPrefix(fields[i], c.want[i])
		}
		action, code := "none", exit.CodeOK
		if len(c.want) > 0 {
			action, code = "change", exit.CodeDiffers
		}
		if !same || got.Steps[0].Action != action || result.Code != code {
			t.Errorf("%s: %s %q, exit %d, want %q", name, got.Steps[0].Action, fields, result.Code, c.want)
		}
	}
}

func TestAResourceIsFoundByIDOrName(t *testing.T) {
	have := stored{
		"recipients":    storedCRM,
		"custom-fields": `{"customFields":[{"codeName":"region","displayName":"Region","etag":"1"}]}`,
		"event-types":   `{"eventTypes":[{"id":"disk_full","displayName":"Disk full"}]}`,
		"appliances":    `{"appliances":[{"id":"a1","displayName":"Support"}]}`,
	}
	s := clitest.Serve(t, withStored(have, nil))
	got, result := dryRun(t, s, `
eventTypes: [{id: disk_full, displayName: Disk full}, {id: disk_empty}]
customFields: [{displayName: " region "}, {displayName: Country}, {codeName: region}]
smtp: {host: mail.example}
appliances: [{id: a1}, {id: a2, silentAfter: 12h}]
recipients: [{displayName: crm}, {displayName: Desk, email: {addresses: [a@example.com]}}]
`)
	want := []string{
		"none event type disk_full", "create event type disk_empty", "change custom field region", `create custom field "Country"`,
		"none custom field region",
		"change smtp settings", "none appliance a1", "create appliance a2", "change recipient crm", `create recipient "Desk"`,
	}
	var steps []string
	for _, s := range got.Steps {
		steps = append(steps, s.Action+" "+s.Resource)
	}
	if result.Code != exit.CodeOK || !slices.Equal(steps, want) {
		t.Errorf("exit %d, %s\n%q, want\n%q", result.Code, result.Err, steps, want)
	}
}

func TestASecretThatIsMissingIsNamed(t *testing.T) {
	s := clitest.Serve(t, withStored(stored{"settings/smtp": `{"oauth2":{"refreshTokenSet":true}}`}, nil))
	got, result := dryRun(t, s, `
smtp: {passwordSet: true, oauth2: {clientSecretSet: true, refreshTokenSet: true}}
recipients: [{displayName: CRM, http: {url: "https://crm.example", auth: {bearer: {tokenSet: true}}, 
  signingSecrets: [{id: ss-1}, {secret: whsec_x}, {}]}}]
`)
	if result.Code != exit.CodeFailed || len(got.Steps) != 2 {
		t.Fatalf("got %+v", result)
	}
	for i, want := range [][]string{{"password", "oauth2.clientSecret"}, {"http.auth.bearer.token", "http.signingSecrets[ss-1].secret"}} {
		missing := slices.Sorted(slices.Values(got.Steps[i].Missing))
		if slices.Sort(want); !slices.Equal(missing, want) || len(got.Steps[i].Faults) != len(want) {
			t.Errorf("%s: %q, want %q", got.Steps[i].Resource, missing, want)
		}
	}
	for _, field := range []string{"password", "oauth2.clientSecret", "http.auth.bearer.token", "http.signingSecrets[ss-1].secret"} {
		if !strings.Contains(result.Err, field) {
			t.Errorf("%s is not named:\n%s", field, result.Err)
		}
	}
}

// write writes files into a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAFolderIsReadInTheOrderOfItsNames(t *testing.T) {
	dir := write(t, map[string]string{
		"b.yaml": "recipients: [{displayName: B, email: {addresses: [b@example.com]}}]\n", "a.json": `{"recipients":[{"displayName":"A"}]}`,
		"c.yml": "recipients:\n  - displayName: C\n---\nrecipients:\n  - displayName: D\n", "notes.txt": "no declaration", "secret": "s3cret\n",
		"d.yaml": "smtp: {host: 'mail.example', username: '${env:SMTP_USER}', password: '${file:secret}'}\n",
	})
	if err := os.Mkdir(filepath.Join(dir, "below.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := clitest.Serve(t, withStored(nil, nil))
	s.Env["SMTP_USER"] = "olga"
	got := s.Run(t, declare.ApplyCommand, "apply", "-f", dir, "--dry-run", "-o", "json")
	var p plan
	if err := json.Unmarshal([]byte(got.Out), &p); err != nil {
		t.Fatalf("%+v", got)
	}
	var steps []string
	for _, s := range p.Steps {
		steps = append(steps, s.Resource)
	}
	if want := []string{"smtp settings", `recipient "A"`, `recipient "B"`, `recipient "C"`, `recipient "D"`}; !slices.Equal(steps, want) {
		t.Errorf("got %q, want %q", steps, want)
	}
	var asked outboundv1.CheckChangesRequest
	if err := protojson.Unmarshal([]byte(s.Calls(http.MethodPost)[0].Body), &asked); err != nil {
		t.Fatal(err)
	}
	smtp := asked.GetChanges()[0].GetUpdateSmtpSettings()
	if smtp.GetSmtpSettings().GetUsername() != "olga" || smtp.GetSmtpSettings().GetPassword() != "s3cret" ||
		len(smtp.GetUpdateMask().GetPaths()) != 3 {
		t.Errorf("asked about %v", smtp)
	}
}

func TestEverythingThatIsWrongIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		declaration string
		lines       int
		says        []string
	}{
		"one unknown key":  {"recipient: []", 1, []string{"recipient"}},
		"no list":          {"recipients: {a: b}", 1, []string{"recipients"}},
		"no names":         {"recipients: [a]\nsmtp: 7", 2, []string{"recipients[0]", "smtp"}},
		"an unknown field": {"recipients: [{id: crm, urll: x}, {id: desk, displayNam: x}]", 2, []string{"recipient crm", "recipient desk"}},
		"no id": {"eventTypes: [{displayName: x}]\nappliances: [{displayName: x}]", 2,
			[]string{"eventTypes[0]", "appliances[0]"}},
		"settings twice": {"smtp: {host: a}\n---\nsmtp: {host: b}", 1, []string{"document 2, smtp"}},
		"no document":    {"", 1, nil},
		"no YAML":        {"a: [", 1, nil},
		"of several kinds each": {"recipient: []\ncustomFields: x\nrecipients: [{id: crm, urll: x}]", 3,
			[]string{"recipient", "customFields", "recipient crm"}},
	} {
		s := clitest.Serve(t, withStored(nil, nil))
		got, result := dryRun(t, s, c.declaration)
		if result.Code != exit.CodeUsage || len(got.Steps) > 0 && got.Steps[0].Action != "none" {
			t.Errorf("%s: exit %d, %s", name, result.Code, result.Err)
		}
		lines := strings.Count(strings.TrimSpace(result.Err), "\n")
		if c.lines > 1 && lines != c.lines || c.lines == 1 && lines != 0 {
			t.Errorf("%s: %d lines:\n%s", name, lines, result.Err)
		}
		for _, says := range c.says {
			if !strings.Contains(result.Err, says) {
				t.Errorf("%s: %s is not named:\n%s", name, says, result.Err)
			}
		}
		if writes := s.Calls(http.MethodPatch); len(writes) > 0 {
			t.Errorf("%s: called %v", name, writes)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	empty := write(t, map[string]string{"notes.txt": "x"})
	for _, args := range [][]string{
		{"-f", filepath.Join(empty, "none.yaml")}, {"-f", empty}, {}, {"-f", "-", "--exit-code"}, {"-f", "-", "--yes"}, {"-f", "-", "surplus"},
	} {
		s := clitest.Serve(t, withStored(nil, nil))
		if got := s.Run(t, declare.ApplyCommand, append([]string{"apply"}, args...)...); got.Code != exit.CodeUsage ||
			len(s.Calls(http.MethodPost)) > 0 {
			t.Errorf("%q: %+v", args, got)
		}
	}
}
