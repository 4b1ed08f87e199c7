package preset_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// faults are what a peer finds wrong with a request.
type faults struct{ all []string }

func (f *faults) want(ok bool, format string, args ...any) {
	if !ok {
		f.all = append(f.all, fmt.Sprintf(format, args...))
	}
}

// object reads a JSON object that has no keys but the known ones.
func (f *faults) object(raw []byte, known ...string) map[string]any {
	var out map[string]any
	f.want(utf8.Valid(raw), "the body is not UTF-8")
	if err := json.Unmarshal(raw, &out); err != nil {
		f.want(false, "the body is not JSON: %v", err)
	}
	f.only(out, known...)
	return out
}

func (f *faults) only(m map[string]any, known ...string) {
	for key := range maps.Keys(m) {
		f.want(slices.Contains(known, key), "%s is not a field", key)
	}
}

// text is a string of at least one and at most some characters.
func (f *faults) text(m map[string]any, key string, most int) string {
	s, ok := m[key].(string)
	n := utf8.RuneCountInString(s)
	f.want(ok && n > 0 && n <= most, "%s has %d characters, want 1 to %d", key, n, most)
	return s
}

func (f *faults) child(m map[string]any, key string) map[string]any {
	out, ok := m[key].(map[string]any)
	f.want(ok, "%s is not an object", key)
	return out
}

func (f *faults) json(r *http.Request) {
	f.want(r.Header.Get("Content-Type") == "application/json", "the content type is %q", r.Header.Get("Content-Type"))
}

func (f *faults) basic(r *http.Request, user, password string) {
	u, p, ok := r.BasicAuth()
	f.want(ok && u == user && p == password, "the user is %q", u)
}

// peer checks a request as a service does, and answers.
type peer func(f *faults, r *http.Request, raw []byte) (status int, answer string)

func peers() map[string]peer {
	return map[string]peer{
		"slack": slackPeer, "teams": teamsPeer, "pagerduty": pagerDutyPeer, "servicenow-incident": incidentPeer, "servicenow-event": eventPeer,
		"jira": jiraPeer, "splunk-hec": splunkPeer, "syslog-http": syslogPeer,
	}
}

var entity = regexp.MustCompile(`&(amp|lt|gt);`)

// slackPeer: `text` of at most 40,000 characters, in which &, < and > are escaped.
func slackPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.json(r)
	text := f.text(f.object(raw, "text"), "text", 40_000)
	f.want(!strings.ContainsAny(entity.ReplaceAllString(text, ""), "&<>"), "text has control characters of Slack")
	return http.StatusOK, "ok"
}

// teamsPeer: a message of at most 28 KB with one Adaptive Card.
func teamsPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.json(r)
	f.want(len(raw) <= 28<<10, "the message has %d bytes", len(raw))
	m := f.object(raw, "type", "attachments")
	f.want(m["type"] == "message", "the type is %v", m["type"])
	list, _ := m["attachments"].([]any)
	if len(list) != 1 {
		f.want(false, "there are %d attachments", len(list))
		return http.StatusBadRequest, ""
	}
	a, _ := list[0].(map[string]any)
	f.only(a, "contentType", "contentUrl", "content")
	f.want(a["contentType"] == "application/vnd.microsoft.card.adaptive" && a["contentUrl"] == nil, "the attachment is %v", a["contentType"])
	card := f.child(a, "content")
	f.want(card["type"] == "AdaptiveCard" && card["$schema"] == "http://adaptivecards.io/schemas/adaptive-card.json" &&
		card["version"] == "1.4", "the card is %v %v", card["type"], card["version"])
	body, _ := card["body"].([]any)
	f.want(len(body) == 2, "the card has %d elements", len(body))
	for _, x := range body {
		block, _ := x.(map[string]any)
		inlines, _ := block["inlines"].([]any)
		f.want(block["type"] == "RichTextBlock" && len(inlines) == 1, "an element is %v", block["type"])
		for _, y := range inlines {
			run, _ := y.(map[string]any)
			f.want(run["type"] == "TextRun", "an inline is %v", run["type"])
			f.text(run, "text", 28<<10)
		}
	}
	return http.StatusAccepted, ""
}

// pagerDutyPeer: Events API v2.
func pagerDutyPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.json(r)
	f.want(r.URL.Path == "/v2/enqueue" && len(raw) <= 512<<10, "%s takes no %d bytes", r.URL.Path, len(raw))
	m := f.object(raw, "routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url")
	f.want(m["routing_key"] == routingKey, "Length of 'routing_key' is incorrect (should be 32 characters)")
	f.want(m["event_action"] == "trigger", "the action is %v", m["event_action"])
	key := f.text(m, "dedup_key", 255)
	p := f.child(m, "payload")
	f.only(p, "summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details")
	f.text(p, "summary", 1024)
	f.text(p, "source", 1024)
	severity, _ := p["severity"].(string)
	f.want(slices.Contains([]string{"critical", "error", "warning", "info"}, severity), "the severity is %q", severity)
	at, _ := p["timestamp"].(string)
	_, err := time.Parse(time.RFC3339, at)
	f.want(err == nil, "the timestamp is %q", at)
	f.child(p, "custom_details")
	return http.StatusAccepted, fmt.Sprintf(`{"status":"success","message":"Event processed","dedup_key":%q}`, key)
}

// incidentPeer: the lengths are those of the columns of the table incident.
func incidentPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.json(r)
	f.basic(r, "outbound", `p"w`)
	f.want(r.URL.Path == "/api/now/table/incident" && r.Header.Get("Accept") == "application/json", "it is for %s", r.URL.Path)
	m := f.object(raw, "short_description", "description", "correlation_id", "correlation_display", "urgency", "impact")
	f.text(m, "short_description", 160)
	f.want(len(m["description"].(string)) >= 0 && utf8.RuneCountInString(m["description"].(string)) <= 4000, "the description is too long")
	f.text(m, "correlation_id", 100)
	f.text(m, "correlation_display", 100)
	for _, key := range []string{"urgency", "impact"} {
		f.want(m[key] == "1" || m[key] == "2" || m[key] == "3", "%s is %v", key, m[key])
	}
	return http.StatusCreated, `{"result":{"number":"INC0010001"}}`
}

// eventPeer: the table em_event.
func eventPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.json(r)
	f.basic(r, "outbound", `p"w`)
	f.want(r.URL.Path == "/api/now/table/em_event", "it is for %s", r.URL.Path)
	m := f.object(raw, "source", "node", "type", "severity", "message_key", "time_of_event", "description", "additional_info", "resource",
		"event_class")
	f.text(m, "source", 100)
	f.text(m, "node", 100)
	f.text(m, "type", 100)
	f.text(m, "message_key", 1024)
	f.text(m, "description", 4000)
	severity := f.text(m, "severity", 1)
	f.want(strings.Contains("012345", severity), "the severity is %q", severity)
	_, err := time.Parse("2006-01-02 15:04:05", f.text(m, "time_of_event", 19))
	f.want(err == nil, "the time is %v", m["time_of_event"])
	info := f.text(m, "additional_info", 64<<10)
	f.want(json.Valid([]byte(info)) && strings.HasPrefix(info, "{"), "additional_info is not an object in JSON: %s", info)
	return http.StatusCreated, `{"result":{"sys_id":"1"}}`
}

// jiraPeer: version 2 of the REST API.
func jiraPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.json(r)
	f.basic(r, "ops@example.com", "t")
	f.want(r.URL.Path == "/rest/api/2/issue", "it is for %s", r.URL.Path)
	fields := f.child(f.object(raw, "fields", "update"), "fields")
	f.only(fields, "project", "issuetype", "summary", "description", "labels")
	f.want(f.child(fields, "project")["key"] == "OPS", "valid project is required")
	f.want(f.child(fields, "issuetype")["name"] == `Sub "task"`, "valid issue type is required")
	f.want(!strings.ContainsAny(f.text(fields, "summary", 255), "\r\n"), "the summary must not contain new lines")
	description := f.text(fields, "description", 32_767)
	f.want(strings.Count(description, "{noformat}") == 2, "the description leaves its block")
	labels, _ := fields["labels"].([]any)
	f.want(len(labels) == 2, "there are %d labels", len(labels))
	for _, x := range labels {
		label, _ := x.(string)
		f.want(label != "" && utf8.RuneCountInString(label) <= 255 && !strings.ContainsAny(label, " \t\r\n"), "%q is no label", label)
	}
	return http.StatusCreated, `{"id":"10000","key":"OPS-24"}`
}

// splunkPeer: an event envelope of HEC.
func splunkPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.want(r.Header.Get("Authorization") == "Splunk 12345678-1234-1234-1234-1234567890AB", "Invalid authorization")
	f.want(r.URL.Path == "/services/collector/event" && len(raw) <= 1<<20, "%s takes no %d bytes", r.URL.Path, len(raw))
	m := f.object(raw, "time", "host", "source", "sourcetype", "index", "event", "fields")
	_, number := m["time"].(float64)
	f.want(number, "the time is %v", m["time"])
	for _, key := range []string{"host", "source", "sourcetype", "index"} {
		f.text(m, key, 1024)
	}
	f.want(len(f.child(m, "event")) > 0, "Event field cannot be blank")
	return http.StatusOK, `{"text":"Success","code":0}`
}

// rfc5424 is SYSLOG-MSG of RFC 5424, 6, with one element of structured data.
var rfc5424 = regexp.MustCompile(`^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) ([!-~]{1,255}) ([!-~]{1,48}) ` +
	`([!-~]{1,128}) ([!-~]{1,32}) \[[!-<>-\\^-~]{1,32}(?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\](?: (.*))?$`)

func syslogPeer(f *faults, r *http.Request, raw []byte) (int, string) {
	f.want(r.Header.Get("Content-Type") == "text/plain; charset=utf-8", "the content type is %q", r.Header.Get("Content-Type"))
	f.want(utf8.Valid(raw) && !strings.ContainsAny(string(raw), "\r\n"), "it is not one line of UTF-8")
	m := rfc5424.FindSubmatch(raw)
	f.want(m != nil, "it is not RFC 5424")
	if m != nil {
		f.want(string(m[1]) == "134" && string(m[4]) == "outbound" && json.Valid(m[7]), "it reads %q", m[1:])
	}
	return http.StatusNoContent, ""
}
