package revisions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/revisions"
)

// history is what became of the recipient crm, newest first.
const history = `{"revisions":[
	{"revision":"9","resource":"recipients/crm","action":"rolled back","rolledBackTo":"3","actor":"eva","time":"2026-11-21T10:00:09Z",
	 "resourceJson":"{\"displayName\":\"The CRM\",\"http\":{\"url\":\"https://new.example\",\"maxInFlight\":16},\"updateTime\":\"9\"}",
			"changes":[{"path":"displayName","before":"\"CRM\"","after":"\"The CRM\""}]},
	{"revision":"7","resource":"recipients/crm","action":"changed","time":"2026-11-21T10:00:07Z",
			"resourceJson":"{\"displayName\":\"CRM\",\"http\":{\"url\":\"https://new.example\"}}",
	 "changes":[{"path":"http.url","before":"\"https://old.example\"","after":"\"https://new.example\""},
			{"path":"http.auth.basic.password","before":"\"set\"","after":"\"changed\""}]},
	{"revision":"5","resource":"recipients/crm","action":"deleted","time":"2026-11-21T10:00:05Z"},
	{"revision":"3","resource":"recipients/crm","action":"created","actor":"ben","time":"2026-11-21T10:00:03Z",
			"resourceJson":"{\"displayName\":\"CRM\",\"eventTypes\":[\"a\",\"b\"],\"http\":{\"url\":\"https://old.example\"}}",
	 "changes":[{"path":"displayName","after":"\"CRM\""}]}]}`

// run runs `outbound revisions`.
func run(t *testing.T, s *clitest.Server, args ...string) clitest.Result {
	t.Helper()
	return s.Run(t, revisions.Command, append([]string{"revisions"}, args...)...)
}

func server(t *testing.T) *clitest.Server {
	t.Helper()
	return clitest.Serve(t, map[string]clitest.Answer{
		"GET /v1/revisions":           clitest.JSON(history),
		"POST /v1/revisions:rollBack": clitest.JSON(`{"revision":{"revision":"10","resource":"recipients/crm"}}`),
	})
}

func TestWhatIsShown(t *testing.T) {
	for name, args := range map[string]string{
		"list.txt":         "list",
		"show.txt":         "show recipients/crm 7",
		"show-latest.txt":  "show recipients/crm latest",
		"show-deleted.txt": "show recipients/crm 5",
		"show.json":        "show recipients/crm previous -o json",
		"back.txt":         "roll-back recipients/crm 3 --dry-run",
		"back.json":        "roll-back recipients/crm 3 --dry-run -o json",
		"back-same.txt":    "roll-back recipients/crm 9 --dry-run",
		"done.txt":         "roll-back recipients/crm previous --yes",
		"done.json":        "roll-back recipients/crm 3 --yes -o json",
	} {
		s := server(t)
		got := run(t, s, strings.Fields(args)...)
		if got.Code != exit.CodeOK || (len(s.Calls(http.MethodPost)) > 0) != strings.HasPrefix(name, "done") {
			t.Errorf("%s: called %v, %+v", name, s.Calls(""), got)
		}
		golden.Check(t, name, []byte(got.Out))
	}
}

func TestRollingBackIsAgreedTo(t *testing.T) {
	for typed, c := range map[string]struct{ code, calls int }{"yes\n": {exit.CodeOK, 1}, "no\n": {exit.CodeOK, 0}, "": {exit.CodeUsage, 0}} {
		s := server(t)
		s.In = typed
		got := run(t, s, "roll-back", "recipients/crm", "3")
		calls := s.Calls(http.MethodPost)
		if got.Code != c.code || len(calls) != c.calls || !strings.Contains(got.Out, "http.url") {
			t.Errorf("%q: called %v, %+v", typed, calls, got)
		}
		if len(calls) > 0 && strings.ReplaceAll(calls[0].Body, " ", "") != `{"resource":"recipients/crm","revision":"3"}` {
			t.Errorf("sent %s", calls[0].Body)
		}
	}
}

func TestARevisionThatIsNotThere(t *testing.T) {
	only := clitest.JSON(`{"revisions":[{"revision":"3","resource":"recipients/crm","resourceJson":"{}"}]}`)
	for name, c := range map[string]struct {
		answer clitest.Answer
		args   string
		code   int
	}{
		"no revisions":   {clitest.JSON("{}"), "show recipients/crm latest", exit.CodeNotFound},
		"none before":    {only, "show recipients/crm previous", exit.CodeNotFound},
		"not kept":       {only, "roll-back recipients/crm 2 --yes", exit.CodeNotFound},
		"no number":      {only, "show recipients/crm first", exit.CodeUsage},
		"json asks":      {only, "roll-back recipients/crm 3 -o json", exit.CodeUsage},
		"refused":        {clitest.Refusal(codes.NotFound, "no such resource"), "list x", exit.CodeNotFound},
		"refused to one": {clitest.Refusal(codes.NotFound, "no such resource"), "roll-back x 3", exit.CodeNotFound},
		"broken": {clitest.JSON(`{"revisions":[{"revision":"3","resourceJson":"{"}]}`), "roll-back recipients/crm 3 --yes",
			exit.CodeFailed},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/revisions": c.answer})
		if got := run(t, s, strings.Fields(c.args)...); got.Code != c.code || got.Out != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPagesAreJoinedUpToTheLimit(t *testing.T) {
	page := func(n int, next string) clitest.Answer {
		one := make([]string, n)
		for i := range one {
			one[i] = fmt.Sprintf(`{"revision":"%d"}`, i+1)
		}
		return clitest.JSON(`{"revisions":[` + strings.Join(one, ",") + `],"nextPageToken":"` + next + `"}`)
	}
	for args, want := range map[string][]string{
		"list --limit 0": {"/v1/revisions?pageSize=500", "/v1/revisions?pageSize=500&pageToken=2"},
		"list recipients/crm --limit 600": {"/v1/revisions?pageSize=500&resource=recipients%2Fcrm",
			"/v1/revisions?pageSize=100&pageToken=2&resource=recipients%2Fcrm"},
		"list --limit 500": {"/v1/revisions?pageSize=500"},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/revisions": clitest.InTurn(page(500, "2"), page(100, ""))})
		run(t, s, strings.Fields(args)...)
		var paths []string
		for _, c := range s.Calls("") {
			paths = append(paths, c.Path)
		}
		if fmt.Sprint(paths) != fmt.Sprint(want) {
			t.Errorf("%s: called %q, want %q", args, paths, want)
		}
	}
}
