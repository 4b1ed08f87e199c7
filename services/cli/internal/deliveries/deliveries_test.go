package deliveries_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/deliveries"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// run runs `outbound deliveries`.
func run(t *testing.T, s *clitest.Server, args ...string) clitest.Result {
	t.Helper()
	return s.Run(t, deliveries.Command, append([]string{"deliveries"}, args...)...)
}

const three = `{"deliveries":[
	{"eventId":"a1~e-2","eventType":"a","recipientId":"crm","state":"RETRYING","reason":"http_status","detail":"answered 500",
			"statusCode":500,"attempts":3,
	 "lastAttemptTime":"2026-11-21T10:00:05Z","nextAttemptTime":"2026-11-21T10:00:35Z"},
	{"eventId":"a1~e-1","eventType":"a","recipientId":"crm","state":"RETRYING","reason":"http_status","statusCode":502,"replayId":"01R"},
	{"eventId":"outbound-test~t","eventType":"a","recipientId":"desk","state":"WAITING","reason":"","test":true,"replayId":"01T"}]}`

func TestListAsksForWhatFiltersName(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries": clitest.JSON(three)})
	got := run(t, s, "list", "--recipient", "crm", "--state", "retrying", "--event", "e-1", "--type", "a", "--appliance", "a1",
		"--session", "s-1", "--external-key", "INC-1",
		"--channel", "HTTP", "--reason", "http_status", "--class", "http_5xx", "--replay", "01R", "--since",
		"2026-11-21T10:00:00+01:00", "--until", "2026-11-21T11:00:00Z", "--limit", "7")
	golden.Check(t, "list.txt", []byte(got.Out))
	asked, err := url.Parse(s.Calls("")[0].Path)
	want := url.Values{
		"recipientId": {"crm"}, "state": {"RETRYING"}, "eventId": {"e-1"}, "eventType": {"a"}, "applianceId": {"a1"},
		"sessionId": {"s-1"}, "externalKey": {"INC-1"},
		"channel": {"http"}, "reason": {"http_status"}, "reasonClass": {"http_5xx"}, "replayId": {"01R"},
		"startTime": {"2026-11-21T09:00:00Z"}, "endTime": {"2026-11-21T11:00:00Z"}, "pageSize": {"7"},
	}
	if err != nil || !reflect.DeepEqual(asked.Query(), want) {
		t.Errorf("asked %v, want %v", asked.Query(), want)
	}
}

func TestListJoinsPages(t *testing.T) {
	page := func(token string, n int) clitest.Answer {
		one := strings.TrimSuffix(strings.Repeat(`{"recipientId":"crm"},`, n), ",")
		return clitest.JSON(`{"deliveries":[` + one + `],"nextPageToken":"` + token + `"}`)
	}
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries": clitest.InTurn(page("2", 1000), page("3", 200))})
	got := run(t, s, "list", "--limit", "1200")
	if lines := strings.Count(got.Out, "\n"); lines != 1201 || len(s.Calls("")) != 2 ||
		s.Calls("")[1].Path != "/v1/deliveries?pageSize=200&pageToken=2" {
		t.Errorf("%d lines, called %v", lines, s.Calls(""))
	}
}

func TestWhatIsWrongIsSaidBeforeTheServerIsCalled(t *testing.T) {
	for _, args := range []string{
		"list --state lost", "list --since yesterday", "list --until -2h", "list --limit 0", "list x", "get crm", "get /a1~e-1",
		"get crm/", "tail --state lost",
		"retry", "retry crm/a1~e-1 --recipient crm", "retry crm", "retry --since never", "send-now",
		"cancel crm/a1~e-1 --recipient crm", "cancel crm/e-1", "extend /a1~e-1",
		"extend --recipient crm --since never",
	} {
		s := clitest.Serve(t, nil)
		if got := run(t, s, strings.Fields(args)...); got.Code != exit.CodeUsage || len(s.Calls("")) > 0 {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestGetShowsEveryAttempt(t *testing.T) {
	http := `{"delivery":{"eventId":"a1~e-1","eventType":"a","recipientId":"crm","recipientDisplayName":"CRM","channel":"http",
			"state":"DELIVERED","reason":"ok","statusCode":200,"attempts":2,
		"acceptTime":"2026-11-21T10:00:00Z","recipientRevision":"7"},"attempts":[
		{"number":1,"state":"RETRYING","reason":"http_status","statusCode":500,"beginTime":"2026-11-21T10:00:01Z","tookMs":41.2,
			"nextAttemptTime":"2026-11-21T10:00:31Z","responseExcerpt":"no\u001bway"},
		{"state":"RETRYING","reason":"sent_now","recordTime":"2026-11-21T10:00:08Z","actor":"eva"}],
		"http":{"method":"POST","url":"https://crm.example","headers":[{"name":"X-A","value":"1"}],"body":"one\r\ntwo"},
			"requestNote":"The recipient has been changed since."}`
	mail := `{"delivery":{"eventId":"a1~e-1","recipientId":"desk","state":"REJECTED","reason":"smtp_refused",
			"detail":"550 no such user"},"addresses":[
		{"address":"a@example.com","state":"delivered","code":250},{"address":"b@example.com","state":"refused"}],
			"email":{"headers":[{"name":"Subject","value":"S"}],"text":"one\ntwo"}}`
	for name, c := range map[string]struct {
		answer, path string
		args         []string
	}{
		"get-http.txt":  {http, "/v1/deliveries/crm/a1~e-1", nil},
		"get-mail.txt":  {mail, "/v1/deliveries/crm/a1~e-1?replayId=01R", []string{"--replay", "01R"}},
		"get-mail.json": {mail, "/v1/deliveries/crm/a1~e-1", []string{"-o", "json"}},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries/crm/a1~e-1": clitest.JSON(c.answer)})
		got := run(t, s, append([]string{"get", "crm/a1~e-1"}, c.args...)...)
		if got.Code != exit.CodeOK || s.Calls("")[0].Path != c.path {
			t.Errorf("%s: called %v, %+v", name, s.Calls(""), got)
		}
		golden.Check(t, name, []byte(got.Out))
	}
}

func TestTailShowsEachDeliveryInALine(t *testing.T) {
	lines := `{"result":{"deliveries":[{"eventId":"a1~e-1","recipientId":"crm","eventType":"a","state":"DELIVERED","reason":"ok",
			"attempts":1,"lastAttemptTime":"2026-11-21T10:00:05Z"},
		{"eventId":"a1~e-2","recipientId":"crm","state":"WAITING","acceptTime":"2026-11-21T10:00:06Z"}],"missed":"5"}}`
	for _, format := range []string{"table", "json", "yaml"} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries:tail": clitest.JSON(strings.ReplaceAll(lines, "\n",
			"") + "\n" + `{"error":{"code":7,"message":"revoked"}}`)})
		got := run(t, s, "tail", "--recipient", "crm", "--state", "waiting", "-o", format)
		if got.Code != exit.CodeFailed || !strings.Contains(got.Err, "5") || !strings.Contains(got.Err, "revoked") {
			t.Errorf("-o %s: %+v", format, got)
		}
		if path := s.Calls("")[0].Path; path != "/v1/deliveries:tail?filter.recipientId=crm&filter.state=WAITING" {
			t.Errorf("called %s", path)
		}
		golden.Check(t, "tail."+format, []byte(got.Out))
	}
}

// targets are the deliveries that calls name, as RECIPIENT/EVENT or RECIPIENT/EVENT~REPLAY.
func targets(t *testing.T, s *clitest.Server) []string {
	t.Helper()
	var out []string
	for _, c := range s.Calls(http.MethodPost) {
		var q struct {
			Deliveries []struct{ RecipientID, EventID, ReplayID string }
		}
		if err := json.Unmarshal([]byte(c.Body), &q); err != nil {
			t.Fatal(err)
		}
		for _, d := range q.Deliveries {
			out = append(out, strings.TrimSuffix(d.RecipientID+"/"+d.EventID+"~"+d.ReplayID, "~"))
		}
	}
	return out
}

func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"named":          {[]string{"crm/a1~e-1", "desk/a1~e-2"}, []string{"crm/a1~e-1", "desk/a1~e-2"}},
		"by filters":     {[]string{"--recipient", "crm"}, []string{"crm/a1~e-2", "crm/a1~e-1"}},
		"in a dry run":   {[]string{"--recipient", "crm", "--dry-run"}, nil},
		"shown as JSON":  {[]string{"crm/a1~e-1", "-o", "json"}, []string{"crm/a1~e-1"}},
		"nothing at all": {[]string{"--recipient", "none"}, nil},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{
			"GET /v1/deliveries": func(r *http.Request) (int, string) {
				if r.URL.Query().Get("recipientId") == "none" {
					return http.StatusOK, "{}"
				}
				return http.StatusOK, three
			},
			"POST /v1/deliveries:retry": clitest.JSON(`{"queued":2,"replayId":"01R"}`),
		})
		got := run(t, s, append([]string{"retry"}, c.args...)...)
		if named := targets(t, s); got.Code != exit.CodeOK || !reflect.DeepEqual(named, c.want) || got.Out == "" {
			t.Errorf("%s: named %q, want %q, %+v", name, named, c.want, got)
		}
		if c.want != nil && !strings.Contains(got.Out, "01R") {
			t.Errorf("%s: the replay is not named: %s", name, got.Out)
		}
	}
}

func TestManyAreChangedInParts(t *testing.T) {
	args := make([]string, 1500)
	for i := range args {
		args[i] = fmt.Sprintf("crm/a1~e-%d", i)
	}
	s := clitest.Serve(t, map[string]clitest.Answer{
		"POST /v1/deliveries:retry": clitest.JSON(`{"queued":1000}`), "POST /v1/deliveries:cancel": clitest.JSON(`{"changed":750}`),
	})
	run(t, s, append([]string{"retry"}, args...)...)
	got := run(t, s, append([]string{"cancel"}, args...)...)
	if len(s.Calls("")) != 4 || len(targets(t, s)) != 3000 || !strings.HasPrefix(got.Out, "1500 ") {
		t.Errorf("%d calls, %+v", len(s.Calls("")), got)
	}
}

func TestChangesOfDeliveriesThatWait(t *testing.T) {
	named := []string{"crm/a1~e-1", "crm/a1~e-2~01R"}
	filtered := []string{"crm/a1~e-2", "crm/a1~e-1~01R", "desk/outbound-test~t~01T"}
	for name, c := range map[string]struct {
		args   []string
		answer string
		call   string
		want   []string
		code   int
	}{
		"send-now": {append([]string{"send-now"}, named...), `{"changed":2}`, "sendNow", named, exit.CodeOK},
		"cancel": {[]string{"cancel", "--recipient", "crm"},
			`{"changed":1,"unchanged":[{"recipientId":"crm","eventId":"a1~e-1","detail":"is delivered"}]}`, "cancel", filtered, exit.CodeOK},
		"extend": {append([]string{"extend", "--by", "2h"}, named...), `{"changed":2}`, "extend", named, exit.CodeOK},
		"none": {append([]string{"cancel"}, named...),
			`{"unchanged":[{"recipientId":"crm","eventId":"a1~e-1","detail":"is delivered"}]}`, "cancel", named, exit.CodeFailed},
		"refused": {append([]string{"cancel"}, named...), "", "cancel", named, exit.CodeNotFound},
	} {
		answer := clitest.JSON(c.answer)
		if c.answer == "" {
			answer = clitest.Refusal(codes.NotFound, "no such recipient")
		}
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/deliveries": clitest.JSON(three), "POST /v1/deliveries:" + c.call: answer})
		got := run(t, s, c.args...)
		if asked := targets(t, s); got.Code != c.code || !reflect.DeepEqual(asked, c.want) {
			t.Errorf("%s: named %q, want %q, %+v", name, asked, c.want, got)
		}
		if name == "extend" && !strings.Contains(s.Calls("")[0].Body, "7200s") {
			t.Errorf("extended by %s", s.Calls("")[0].Body)
		}
		if name == "cancel" && !strings.Contains(s.Calls("")[0].Path, "state=RETRYING") {
			t.Errorf("asked for %s", s.Calls("")[0].Path)
		}
		golden.Check(t, "change-"+name+".txt", []byte(got.Out))
	}
}

func TestARefusalEndsACommand(t *testing.T) {
	refused := clitest.Refusal(codes.NotFound, "no such recipient")
	for _, args := range []string{"list", "get crm/a1~e-1", "tail", "retry crm/a1~e-1", "retry --recipient crm", "cancel --recipient crm"} {
		s := clitest.Serve(t, map[string]clitest.Answer{
			"GET /v1/deliveries": refused, "GET /v1/deliveries/crm/a1~e-1": refused, "GET /v1/deliveries:tail": refused,
			"POST /v1/deliveries:retry": refused,
		})
		if got := run(t, s, strings.Fields(args)...); got.Code != exit.CodeNotFound || got.Out != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

// replays runs `outbound replays`.
func replays(t *testing.T, s *clitest.Server, args ...string) clitest.Result {
	t.Helper()
	return s.Run(t, deliveries.ReplaysCommand, append([]string{"replays"}, args...)...)
}

func TestAReplayIsWhatFlagsSay(t *testing.T) {
	const deliveriesFlags = "--recipient crm --state expired --type a --appliance a1 --session s --external-key k --channel HTTP --reason r " +
		"--class TLS --since 2026-11-21T10:00:00Z --until 2026-11-21T11:00:00Z --to desk --rate 5"
	for args, want := range map[string]string{
		deliveriesFlags: `{"deliveries":{"recipientId":"crm","state":"EXPIRED","eventType":"a","applianceId":"a1","sessionId":"s",
			"externalKey":"k","reason":"r","startTime":"2026-11-21T10:00:00Z","endTime":"2026-11-21T11:00:00Z","channel":"http",
			"reasonClass":"tls"},"toRecipientId":"desk","rate":5}`,
		"--to desk --backfill-since 2026-11-21T10:00:00Z --include-delivered": `{"backfill":{"startTime":"2026-11-21T10:00:00Z",
			"includeDelivered":true},"toRecipientId":"desk"}`,
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/replays:preview": clitest.JSON(`{"count":"3","more":true,
			"alreadyDelivered":"1","estimatedDuration":"60s"}`)})
		got := replays(t, s, append([]string{"preview"}, strings.Fields(args)...)...)
		var sent, wanted any
		if json.Unmarshal([]byte(s.Calls("")[0].Body), &sent) != nil || json.Unmarshal([]byte(want), &wanted) != nil ||
			!reflect.DeepEqual(sent, wanted) {
			t.Errorf("%s: sent %s", args, s.Calls("")[0].Body)
		}
		golden.Check(t, "replay-preview.txt", []byte(got.Out))
	}
	for _, args := range []string{
		"preview", "preview --to desk", "preview --recipient crm --rate 0", "preview --recipient crm --state waitin",
		"preview --recipient crm --since never", "preview --recipient crm --until x",
		"preview --recipient crm --backfill-since 2h", "preview --backfill-since x", "create --backfill-since 2h --backfill-until x",
		"get", "cancel a b", "list x",
	} {
		if got := replays(t, clitest.Serve(t, nil), strings.Fields(args)...); got.Code != exit.CodeUsage {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

const running, done = `{"id":"01R","state":"RUNNING","total":"3","queued":"1"}`,
	`{"id":"01R","state":"DONE","total":"3","queued":"3","actor":"eva","createTime":"2026-11-21T10:00:00Z"}`

func TestAReplayIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		args  string
		polls []string
		code  int
	}{
		"created":   {"create --recipient crm", []string{running, done}, exit.CodeOK},
		"detached":  {"create --recipient crm --detach", nil, exit.CodeOK},
		"failed":    {"create --recipient crm", []string{`{"id":"01R","state":"FAILED","detail":"the recipient is gone"}`}, exit.CodeFailed},
		"looked-at": {"get 01R", []string{running}, exit.CodeOK},
		"awaited":   {"get 01R --wait", []string{running, done}, exit.CodeOK},
		"listed":    {"list", nil, exit.CodeOK},
		"cancelled": {"cancel 01R", nil, exit.CodeOK},
	} {
		answers := map[string]clitest.Answer{
			"POST /v1/replays": clitest.JSON(running), "GET /v1/replays": clitest.JSON(`{"replays":[` + done + `]}`),
			"POST /v1/replays/01R:cancel": clitest.JSON(`{"id":"01R","state":"STOPPED"}`),
		}
		var polls []clitest.Answer
		for _, p := range c.polls {
			polls = append(polls, clitest.JSON(p))
		}
		if len(polls) > 0 {
			answers["GET /v1/replays/01R"] = clitest.InTurn(polls...)
		}
		s := clitest.Serve(t, answers)
		if got := replays(t, s, strings.Fields(c.args)...); got.Code != c.code {
			t.Errorf("%s: %+v", name, got)
		} else {
			golden.Check(t, "replay-"+name+".txt", []byte(got.Out))
		}
	}
}

func TestAReplayGoesOnWithoutTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/replays/01R": func(*http.Request) (int, string) {
		cancel()
		return http.StatusOK, running
	}})
	if got := s.RunContext(ctx, deliveries.ReplaysCommand, "replays", "get", "01R", "--wait"); got.Code != exit.CodeFailed {
		t.Errorf("got %+v", got)
	}
}
