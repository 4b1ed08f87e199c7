package declare_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/declare"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// writes are the calls that change something, as method and path.
func writes(s *clitest.Server) []string {
	var out []string
	for _, c := range s.Calls("") {
		if c.Method != http.MethodGet && c.Path != "/v1/changes:check" {
			out = append(out, c.Method+" "+c.Path)
		}
	}
	return out
}

const everything = `
eventTypes: [{id: disk_full, displayName: Disk full}]
customFields: [{codeName: region, displayName: Region}]
smtp: {host: mail.example, password: s3cret}
email: {timeZone: Europe/London}
appliances: [{id: a1, displayName: Support}]
recipients:
  - id: crm
    enabled: false
  - displayName: Desk
    http: {url: "https://desk.example", signingSecrets: [{}]}
`

// server stores the recipient crm and takes all that is written.
func server(t *testing.T, more map[string]clitest.Answer) *clitest.Server {
	t.Helper()
	answers := map[string]clitest.Answer{
		"POST /v1/event-types":    clitest.JSON(`{"id":"disk_full"}`),
		"POST /v1/custom-fields":  clitest.JSON(`{"codeName":"region"}`),
		"PATCH /v1/settings/smtp": clitest.JSON("{}"), "PATCH /v1/settings/email": clitest.JSON("{}"),
		"POST /v1/appliances":      clitest.JSON(`{"id":"a1","user":"a1","password":"nats-password","token":"http-token"}`),
		"PATCH /v1/recipients/crm": clitest.JSON(`{"id":"crm","warnings":["the certificate ends soon"]}`),
		"POST /v1/recipients":      clitest.JSON(`{"id":"desk","http":{"signingSecrets":[{"id":"ss-1","secret":"whsec_new"}]}}`),
	}
	for path, a := range more {
		answers[path] = a
	}
	return clitest.Serve(t, withStored(stored{"recipients": storedCRM, "settings/smtp": `{"host":"old.example","etag":"3"}`}, answers))
}

func TestApplyCarriesOutThePlanInItsOrder(t *testing.T) {
	for _, format := range []string{"table", "json", "yaml"} {
		s := server(t, nil)
		s.In = everything
		got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-", "-o", format)
		if got.Code != exit.CodeOK {
			t.Fatalf("-o %s: %+v", format, got)
		}
		golden.Check(t, "apply."+format, []byte(got.Out))
		want := []string{
			"POST /v1/event-types", "POST /v1/custom-fields", "PATCH /v1/settings/smtp?updateMask=host%2Cpassword",
			"PATCH /v1/settings/email?updateMask=time_zone",
			"POST /v1/appliances", "PATCH /v1/recipients/crm?updateMask=enabled", "POST /v1/recipients",
		}
		if paths := writes(s); !slices.Equal(paths, want) {
			t.Errorf("-o %s: called %q, want %q", format, paths, want)
		}
		for _, c := range s.Calls(http.MethodPatch) {
			if strings.Contains(c.Path, "/recipients/crm") && !strings.Contains(strings.ReplaceAll(c.Body, " ", ""), `"etag":"7"`) {
				t.Errorf("crm is changed whatever others did meanwhile: %s", c.Body)
			}
		}
	}
}

func TestADryRunShowsTheSameAndChangesNothing(t *testing.T) {
	s := server(t, nil)
	s.In = everything
	got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-", "--dry-run", "--exit-code")
	if got.Code != exit.CodeDiffers || len(writes(s)) > 0 {
		t.Fatalf("exit %d, called %q\n%s", got.Code, writes(s), got.Err)
	}
	golden.Check(t, "dry-run.txt", []byte(got.Out))
}

func TestApplyStopsAtWhatFails(t *testing.T) {
	s := server(t, map[string]clitest.Answer{"PATCH /v1/settings/email": clitest.Refusal(codes.Aborted, "somebody changed it meanwhile")})
	s.In = everything
	got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-")
	if got.Code != exit.CodeConflict || len(writes(s)) != 4 || !strings.Contains(got.Err, "email settings") ||
		!strings.Contains(got.Err, "meanwhile") {
		t.Errorf("exit %d, called %q\n%s", got.Code, writes(s), got.Err)
	}
}

func TestWhatTheServerWouldRefuseIsNotBegun(t *testing.T) {
	invalid := `{"code":3,"message":"m","faults":[{"field":"host","reason":"R","description":"is no host"},{"field":"port",
			"reason":"R","description":"is no port"}]}`
	conflict := `{"code":6,"message":"the name is taken"}`
	for name, c := range map[string]struct {
		results map[int]string
		code    int
		says    []string
	}{
		"fields": {map[int]string{2: invalid}, exit.CodeFailed,
			[]string{"smtp settings", "host", "is no host", "port", "is no port"}},
		"a conflict":    {map[int]string{1: conflict}, exit.CodeConflict, []string{"custom field region", "the name is taken"}},
		"two conflicts": {map[int]string{1: conflict, 6: conflict}, exit.CodeConflict, []string{"custom field region", `recipient "Desk"`}},
		"both":          {map[int]string{1: conflict, 2: invalid}, exit.CodeFailed, []string{"custom field region", "is no host"}},
		"a code and no more": {map[int]string{0: `{"code":3,"message":"is not valid"}`}, exit.CodeFailed,
			[]string{"event type disk_full", "is not valid"}},
	} {
		for _, args := range [][]string{nil, {"--dry-run"}} {
			s := server(t, map[string]clitest.Answer{"POST /v1/changes:check": checked(c.results)})
			s.In = everything
			got := s.Run(t, declare.ApplyCommand, append([]string{"apply", "-f", "-"}, args...)...)
			if got.Code != c.code || len(writes(s)) > 0 {
				t.Errorf("%s %q: exit %d, called %q", name, args, got.Code, writes(s))
			}
			for _, says := range c.says {
				if !strings.Contains(got.Err, says) {
					t.Errorf("%s %q: %q is not said:\n%s", name, args, says, got.Err)
				}
			}
		}
	}
}

func TestACheckThatFailsEndsApply(t *testing.T) {
	for name, answer := range map[string]clitest.Answer{
		"refused": clitest.Refusal(codes.PermissionDenied, "viewers only read"), "too few results": clitest.JSON(`{"results":[{}]}`),
	} {
		s := server(t, map[string]clitest.Answer{"POST /v1/changes:check": answer})
		s.In = everything
		if got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-"); got.Code != exit.CodeFailed || len(writes(s)) > 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestMoreThanTheServerChecksAtOnce(t *testing.T) {
	var all strings.Builder
	for i := range 5001 {
		_, _ = fmt.Fprintf(&all, "%s{\"codeName\":\"f%d\",\"displayName\":\"F%d\"}", map[bool]string{true: ",", false: ""}[i > 0], i, i)
	}
	s := server(t, nil)
	s.In = `{"customFields":[` + all.String() + `]}`
	if got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-", "--dry-run"); got.Code != exit.CodeFailed ||
		!strings.Contains(got.Err, "5001") {
		t.Errorf("a dry run: exit %d, %s", got.Code, got.Err)
	}
	if got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-"); got.Code != exit.CodeOK || len(writes(s)) != 5001 ||
		!strings.Contains(got.Err, "5001") {
		t.Errorf("apply: exit %d, %d calls, %s", got.Code, len(writes(s)), got.Err)
	}
}

// surplus stores one of each kind beside what is declared.
func surplus(t *testing.T) *clitest.Server {
	t.Helper()
	gone := clitest.JSON("{}")
	return clitest.Serve(t, withStored(stored{
		"recipients": `{"recipients":[{"id":"crm","etag":"7"},{"id":"old","etag":"8"},{"id":"leaving","etag":"9",
			"deleteTime":"2026-11-21T10:00:00Z"}]}`,
		"appliances":    `{"appliances":[{"id":"a1","etag":"1"},{"id":"a2","etag":"2"}]}`,
		"custom-fields": `{"customFields":[{"codeName":"region","etag":"5"}]}`,
		"event-types":   `{"eventTypes":[{"id":"support_conference_end","builtIn":true},{"id":"disk_full","etag":"4"}]}`,
	}, map[string]clitest.Answer{
		"DELETE /v1/recipients/old": gone, "DELETE /v1/appliances/a2": gone, "DELETE /v1/custom-fields/region": gone,
		"DELETE /v1/event-types/disk_full": gone,
	}))
}

func TestPruneDeletesWhatIsNotNamed(t *testing.T) {
	const some, all = "recipients: [{id: crm}]\nappliances: [{id: a1}]",
		"recipients: [{id: crm}]\nappliances: [{id: a1}]\ncustomFields: []\neventTypes: []"
	for name, c := range map[string]struct {
		declaration string
		want        []string
	}{
		"kinds that are named": {some, []string{"DELETE /v1/recipients/old?etag=8", "DELETE /v1/appliances/a2?etag=2"}},
		"kinds with nothing left": {all, []string{"DELETE /v1/recipients/old?etag=8", "DELETE /v1/appliances/a2?etag=2",
			"DELETE /v1/custom-fields/region?etag=5", "DELETE /v1/event-types/disk_full?etag=4"}},
		"settings alone": {"smtp: {}", nil},
		"after empty documents": {"---\n---\nrecipients: [{id: crm}]\n---\n# none\n---\n---\nappliances: [{id: a1}]\n",
			[]string{"DELETE /v1/recipients/old?etag=8", "DELETE /v1/appliances/a2?etag=2"}},
		"one kind in two documents": {"recipients: [{id: crm}]\n---\n---\nrecipients: [{id: old}]\n", nil},
	} {
		s := surplus(t)
		s.In = c.declaration
		got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-", "--prune", "--yes", "-o", "json")
		if got.Code != exit.CodeOK || !slices.Equal(writes(s), c.want) {
			t.Errorf("%s: called %q, want %q\n%s", name, writes(s), c.want, got.Err)
		}
		var p plan
		if err := json.Unmarshal([]byte(got.Out), &p); err != nil || p.DryRun {
			t.Errorf("%s: %v\n%s", name, err, got.Out)
		}
		deletions := 0
		for _, x := range p.Steps {
			if x.Action == "delete" {
				deletions++
			}
		}
		if deletions != len(c.want) {
			t.Errorf("%s: %d deletions are shown", name, deletions)
		}
	}
}

// A list without a value looks like a template that rendered nothing: only [] says that all is to be deleted.
func TestPruneRefusesAListWithoutAValue(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                       "recipients:\n",
		"a null":                        "recipients: null\n",
		"a tilde":                       "recipients: ~\n",
		"a comment alone":               "recipients:\n  # - id: crm\n",
		"other lists beside":            "appliances: [{id: a1}]\nrecipients:\n",
		"JSON":                          `{"recipients": null}`,
		"another document names some":   "recipients: [{id: crm}]\n---\nrecipients:\n",
		"an empty list in another one":  "recipients: []\n---\nrecipients: ~\n",
		"custom fields":                 "customFields:\n",
		"event types":                   "eventTypes: !!null\n",
		"appliances":                    "appliances: Null\n",
		"an alias of nothing":           "recipients: &r\nappliances: *r\n",
		"a document of comments beside": "# nothing\n---\nrecipients:\n---\n",
	} {
		s := surplus(t)
		s.In = text
		got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-", "--prune", "--yes")
		if got.Code != exit.CodeUsage || len(writes(s)) > 0 || !strings.Contains(got.Err, "write [] if that is meant") {
			t.Errorf("%s: exit %d, called %q\n%s%s", name, got.Code, writes(s), got.Out, got.Err)
		}
	}
	for name, text := range map[string]string{"nothing": "", "comments": "# recipients: []\n", "a null": "null\n",
		"empty documents": "---\n---\n"} {
		s := surplus(t)
		s.In = text
		if got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-", "--prune", "--yes"); got.Code != exit.CodeUsage || len(writes(s)) > 0 {
			t.Errorf("%s: exit %d, called %q\n%s", name, got.Code, writes(s), got.Err)
		}
	}
}

func TestPruneSaysHowMuchItDeletes(t *testing.T) {
	file := write(t, map[string]string{"all.yaml": "recipients: [{id: crm}]\nappliances: [{id: a1}]\n"}) + "/all.yaml"
	for _, args := range [][]string{{}, {"--yes"}, {"-o", "json"}} {
		s := surplus(t)
		s.In = "no\n"
		got := s.Run(t, declare.ApplyCommand, append([]string{"apply", "--prune", "-f", file}, args...)...)
		if !strings.Contains(got.Out+got.Err, "1 of 2 recipients, 1 of 2 appliances") {
			t.Errorf("%v: exit %d\n%s%s", args, got.Code, got.Out, got.Err)
		}
	}
}

func TestPruneAsksFirst(t *testing.T) {
	file := write(t, map[string]string{"all.yaml": "recipients: [{id: crm}]\n"}) + "/all.yaml"
	for name, c := range map[string]struct {
		in   string
		args []string
		code int
		// deletes says whether the recipient is deleted.
		deletes bool
	}{
		"yes":                        {"yes\n", []string{"-f", file}, exit.CodeOK, true},
		"no":                         {"no\n", []string{"-f", file}, exit.CodeOK, false},
		"nobody answers":             {"", []string{"-f", file}, exit.CodeUsage, false},
		"asked before":               {"", []string{"-f", file, "--yes"}, exit.CodeOK, true},
		"a dry run asks nothing":     {"", []string{"-f", file, "--dry-run"}, exit.CodeOK, false},
		"no question in JSON":        {"yes\n", []string{"-f", file, "-o", "json"}, exit.CodeUsage, false},
		"standard input is the file": {"recipients: [{id: crm}]\n", []string{"-f", "-"}, exit.CodeUsage, false},
		"nothing to delete":          {"recipients: [{id: crm}, {id: old}]\n", []string{"-f", "-"}, exit.CodeOK, false},
	} {
		s := surplus(t)
		s.In = c.in
		got := s.Run(t, declare.ApplyCommand, append([]string{"apply", "--prune"}, c.args...)...)
		if got.Code != c.code || (len(writes(s)) > 0) != c.deletes {
			t.Errorf("%s: exit %d, called %q\n%s%s", name, got.Code, writes(s), got.Out, got.Err)
		}
	}
}

func TestPruneDeletesNothingIfAFileIsWrong(t *testing.T) {
	s := surplus(t)
	s.In = "recipients: [{id: crm, urll: x}]"
	if got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-", "--prune", "--yes"); got.Code != exit.CodeUsage || len(writes(s)) > 0 {
		t.Errorf("exit %d, called %q", got.Code, writes(s))
	}
}

func TestAServerThatFailsEndsThePlan(t *testing.T) {
	for _, path := range []string{"event-types", "custom-fields", "settings/smtp", "settings/email", "appliances", "recipients"} {
		s := server(t, map[string]clitest.Answer{"GET /v1/" + path: clitest.Refusal(codes.Unavailable, "the config service is away")})
		s.In = everything
		if got := s.Run(t, declare.ApplyCommand, "apply", "-f", "-"); got.Code != exit.CodeFailed || len(writes(s)) > 0 ||
			!strings.Contains(got.Err, "is away") {
			t.Errorf("%s: %+v, called %q", path, got, writes(s))
		}
	}
}
