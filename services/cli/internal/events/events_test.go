package events_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/services/cli/internal/clitest"
	"github.com/outbound-events/outbound/services/cli/internal/events"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// run runs `outbound events`.
func run(t *testing.T, s *clitest.Server, args ...string) clitest.Result {
	t.Helper()
	return s.Run(t, events.Command, append([]string{"events"}, args...)...)
}

func TestPublishMakesACloudEvent(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/events": clitest.JSON(`{"eventId":"a1~e-1","sequence":"7","duplicate":true}`)})
	got := run(t, s, "publish", "--appliance", "a1", "--event", "session_end", "--id", "e-1", "--session", "s-1", "--external-key", "INC-1",
		"--time", "2026-11-21T10:00:00Z", "--set", "duration=60", "--set", "note=a=b", "--custom", "region=emea")
	golden.Check(t, "publish.txt", []byte(got.Out))
	want := `{"specversion":"1.0","id":"e-1","source":"a1","type":"session_end","time":"2026-11-21T10:00:00Z","subject":"s-1",` +
		`"datacontenttype":"application/json",` +
		`"data":{"custom_fields":{"region":"emea"},"duration":"60","external_key":"INC-1","note":"a=b"}}`
	if body := s.Calls("")[0].Body; body != want || got.Code != exit.CodeOK {
		t.Errorf("sent %s\nwant %s\n%+v", body, want, got)
	}
}

func TestPublishFillsInTheIDAndTheTime(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/events": clitest.JSON("{}")})
	before := time.Now()
	ids := map[string]bool{}
	for range 2 {
		run(t, s, "publish", "--appliance", "a1", "--event", "session_end")
	}
	for _, c := range s.Calls("") {
		var e struct {
			ID   string         `json:"id"`
			Time time.Time      `json:"time"`
			Data map[string]any `json:"data"`
		}
		if err := json.Unmarshal([]byte(c.Body), &e); err != nil || e.ID == "" || e.Time.Before(before.Add(-time.Second)) || len(e.Data) > 0 {
			t.Errorf("%v: sent %s", err, c.Body)
		}
		ids[e.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("two events have the ids %v", ids)
	}
}

func TestPublishSendsAFileToTheByte(t *testing.T) {
	s := clitest.Serve(t, map[string]clitest.Answer{"POST /v1/events": clitest.JSON("{}")})
	s.In = "{\n\t\"id\": \"e-1\" }\n"
	if got := run(t, s, "publish", "-f", "-"); got.Code != exit.CodeOK || s.Calls("")[0].Body != s.In {
		t.Errorf("sent %q, %+v", s.Calls("")[0].Body, got)
	}
}

func TestWhatIsWrongIsSaidBeforeTheServerIsCalled(t *testing.T) {
	for _, args := range []string{
		"publish", "publish --appliance a1", "publish --event x", "publish -f - --appliance a1", "publish -f /none/at/all",
		"publish --appliance a1 --event x --set y",
		"publish --appliance a1 --event x --custom y", "list --decision perhaps", "list --since never", "rejected --until never",
		"list --limit 0", "get",
	} {
		s := clitest.Serve(t, nil)
		if got := run(t, s, strings.Fields(args)...); got.Code != exit.CodeUsage || len(s.Calls("")) > 0 {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

const list = `{"events":[
	{"eventId":"a1~e-2","eventType":"nope","applianceId":"a1","intakeTime":"2026-11-21T10:00:02Z","decision":"REJECTED","via":"nats",
			"raw":"eyJpZCI6ImUtMiJ9",
	 "violations":[{"field":"type","reason":"UNKNOWN_TYPE","description":"is not known"},{"field":"time","reason":"TIME_OUT_OF_RANGE"}]},
	{"applianceId":"a1","decision":"REJECTED"},
	{"eventId":"a1~e-1","eventType":"a","applianceId":"a1","sessionId":"s-1","intakeTime":"2026-11-21T10:00:01Z","decision":"ACCEPTED",
			"via":"http"}]}`

func TestLists(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want url.Values
	}{
		"list": {
			[]string{"--decision", "accepted", "--appliance", "a1", "--type", "a", "--session", "s", "--external-key", "k", "--since",
				"2026-11-21T10:00:00Z", "--until", "2026-11-21T11:00:00Z", "--limit", "3"},
			url.Values{"decision": {"ACCEPTED"}, "applianceId": {"a1"}, "eventType": {"a"}, "sessionId": {"s"}, "externalKey": {"k"},
				"startTime": {"2026-11-21T10:00:00Z"},
				"endTime":   {"2026-11-21T11:00:00Z"}, "pageSize": {"3"}},
		},
		"rejected": {nil, url.Values{"decision": {"REJECTED"}, "pageSize": {"50"}}},
	} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/events": clitest.JSON(list)})
		got := run(t, s, append([]string{name}, c.args...)...)
		asked, err := url.Parse(s.Calls("")[0].Path)
		if err != nil || !reflect.DeepEqual(asked.Query(), c.want) {
			t.Errorf("%s: asked %v, want %v", name, asked.Query(), c.want)
		}
		golden.Check(t, name+".txt", []byte(got.Out))
	}
}

func TestGetShowsWhatHappened(t *testing.T) {
	accepted := `{"eventId":"a1~e-1","eventType":"a","applianceId":"a1","sessionId":"s-1","eventTime":"2026-11-21T09:59:59Z",
			"intakeTime":"2026-11-21T10:00:00Z","decision":"ACCEPTED","via":"nats",
		"timeline":[{"time":"2026-11-21T10:00:01Z","kind":"attempt","attempt":1,"recipientId":"crm","state":"RETRYING",
			"reason":"http_status","detail":"answered 500"},
			{"time":"2026-11-21T10:00:02Z","kind":"note","recipientId":"crm","detail":"sent now","actor":"eva","replayId":"01R"}],
		"routes":[{"recipientId":"crm","displayName":"CRM","channel":"http","matched":true,"state":"RETRYING"},{"recipientId":"desk",
			"reason":"event_type_not_selected"}],
		"deliveries":[{"eventId":"a1~e-1","recipientId":"crm","state":"RETRYING","reason":"http_status"}]}`
	refused := `{"eventId":"a1~e-2","applianceId":"a1","decision":"REJECTED","violations":[{"field":"type","description":"is not known"}]}`
	for name, answer := range map[string]string{"accepted.txt": accepted, "refused.txt": refused, "refused.json": refused} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/events/a1~e-1": clitest.JSON(answer)})
		format := map[bool]string{true: "json", false: "table"}[strings.HasSuffix(name, "json")]
		got := run(t, s, "get", "a1~e-1", "-o", format)
		if got.Code != exit.CodeOK {
			t.Errorf("%s: %+v", name, got)
		}
		golden.Check(t, name, []byte(got.Out))
	}
}

func TestARefusalEndsACommand(t *testing.T) {
	refused := clitest.Refusal(codes.NotFound, "no such event")
	for _, args := range []string{"list", "rejected", "get e-1", "publish --appliance a1 --event x"} {
		s := clitest.Serve(t, map[string]clitest.Answer{"GET /v1/events": refused, "GET /v1/events/e-1": refused, "POST /v1/events": refused})
		if got := run(t, s, strings.Fields(args)...); got.Code != exit.CodeNotFound || got.Out != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
