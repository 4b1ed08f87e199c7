package preset

// The rules of success.
const (
	status200 = "HTTP_200"
	any2xx    = "ANY_2XX"
)

// subject is what happened, in one line between the quotes of a string: at most 132 characters and the external key.
const subject = `{{jsontext .Event.Type}} on {{jsontext .Event.Appliance}}`

// All returns the presets, by name.
func All() []Preset {
	return []Preset{jira(), pagerDuty(), serviceNowEvent(), serviceNowIncident(), slack(), splunk(), syslog(), teams()}
}

func body(template, success string) map[string]any {
	return map[string]any{"bodyTemplate": template, "bodyContentType": "application/json", "success": success}
}

func with(h map[string]any, more map[string]any) map[string]any {
	for name, value := range more {
		h[name] = value
	}
	return h
}

func basic(user, password string) map[string]any {
	return map[string]any{"basic": map[string]any{"username": user, "password": password}}
}

func slack() Preset {
	// Slack takes &, < and > as control characters.
	const escaped = ` | replace "&" "&amp;" | replace "<" "&lt;" | replace ">" "&gt;" | jsontext}}`
	const template = `{"text": "*` + subject + `*{{with .Event.ExternalKey}} ({{cut 200 .` + escaped + `){{end}}` +
		`{{with .Vars}}\n{{lines . | cut 6000` + escaped + `{{end}}"}`
	return Preset{
		Name: "slack", Title: "Slack", Description: "Posts a message to a channel by an incoming webhook.",
		Source: "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/",
		Fields: []Field{{Name: "url", Label: "Webhook URL", URL: true,
			Help: "URL of the incoming webhook, https://hooks.slack.com/services/…; its secret part is stored sealed"}},
		Deduplicates: "Slack shows an event that arrives twice twice.",
		make:         func(v values) map[string]any { return with(body(template, status200), map[string]any{"url": v["url"]}) },
	}
}

func teams() Preset {
	// Text runs have no Markdown.
	const template = `{"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null,
 "content": {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": [
  {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "weight": "Bolder", "size": "Medium",
   "text": "` + subject + `{{with .Event.ExternalKey}} ({{cut 200 . | jsontext}}){{end}}"}]},
  {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": {{lines .Vars | cut 3500 | default "(no variables)" | json}}}]}
 ]}}]}`
	return Preset{
		Name: "teams", Title: "Microsoft Teams", Description: "Posts an Adaptive Card to a channel or chat by a workflow.",
		Source: "https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using",
		Fields: []Field{{Name: "url", Label: "Workflow URL", URL: true,
			Help: "URL of a workflow with the trigger When a Teams webhook request is received; its signature is stored sealed"}},
		Deduplicates: "Teams shows an event that arrives twice twice.",
		make:         func(v values) map[string]any { return with(body(template, any2xx), map[string]any{"url": v["url"]}) },
	}
}

func pagerDuty() Preset {
	const template = `{"routing_key": {{json (header "X-Routing-Key")}}, "event_action": "trigger", "dedup_key": {{cut 255 .Event.Key | json}},
 "payload": {"summary": "` + subject + `{{with .Event.ExternalKey}} ({{cut 800 . | jsontext}}){{end}}", "source": {{json .Event.Appliance}},
  "severity": "«severity»", "timestamp": {{json .Event.Time}}, "class": {{json .Event.Type}}, "custom_details": {{json .Vars}}}}`
	return Preset{
		Name: "pagerduty", Title: "PagerDuty", Description: "Triggers an alert by the Events API v2.",
		Source: "https://developer.pagerduty.com/docs/send-alert-event",
		Fields: []Field{
			{Name: "routing_key", Label: "Integration key", Help: "integration key of an Events API v2 integration, 32 characters", Secret: true},
			{Name: "severity", Label: "Severity", Help: "severity of all alerts", Default: "info",
				Choices: []string{"critical", "error", "warning", "info"}},
			{Name: "url", Label: "URL", Help: "https://events.eu.pagerduty.com/v2/enqueue in the EU service region",
				Default: "https://events.pagerduty.com/v2/enqueue", URL: true},
		},
		Deduplicates: "The deduplication key is the key of the event: it makes one alert, however often it arrives.",
		make: func(v values) map[string]any {
			// The key is part of the body. As a header it is stored sealed.
			return with(body(values{"severity": v["severity"]}.in(template), any2xx), map[string]any{
				"url": v["url"], "headers": map[string]any{"X-Routing-Key": v["routing_key"]}, "secretHeaders": []any{"X-Routing-Key"},
			})
		},
	}
}

func serviceNow(table string, fields ...Field) []Field {
	return append([]Field{
		{Name: "instance", Label: "Instance URL", Help: "https://example.service-now.com", URL: true},
		{Name: "username", Label: "User name", Help: "user who may create records of " + table},
		{Name: "password", Label: "Password", Help: "password of the user", Secret: true},
	}, fields...)
}

func tableAPI(v values, table, template string) map[string]any {
	return with(body(template, any2xx), map[string]any{
		"url": trimSlash(v["instance"]) + "/api/now/table/" + table, "auth": basic(v["username"], v["password"]),
		"headers": map[string]any{"Accept": "application/json"},
	})
}

func serviceNowIncident() Preset {
	const template = `{"short_description": "` + subject + `{{with .Event.ExternalKey}} ({{cut 25 . | jsontext}}){{end}}",
 "description": {{lines .Vars | cut 3900 | json}}, "correlation_id": {{cut 100 .Event.Key | json}}, "correlation_display": "Outbound",
 "urgency": "«urgency»", "impact": "«impact»"}`
	levels := []string{"1", "2", "3"}
	return Preset{
		Name: "servicenow-incident", Title: "ServiceNow incident", Description: "Creates an incident by the Table API.",
		Source: "https://www.servicenow.com/docs/bundle/xanadu-api-reference/page/integrate/inbound-rest/concept/c_TableAPI.html",
		Fields: serviceNow("incident",
			Field{Name: "urgency", Label: "Urgency", Help: "1 high, 2 medium, 3 low", Default: "3", Choices: levels},
			Field{Name: "impact", Label: "Impact", Help: "1 high, 2 medium, 3 low", Default: "3", Choices: levels}),
		Deduplicates: "The Table API creates an incident each time. correlation_id is the key of the event: a business rule can use it.",
		make: func(v values) map[string]any {
			return tableAPI(v, "incident", values{"urgency": v["urgency"], "impact": v["impact"]}.in(template))
		},
	}
}

func serviceNowEvent() Preset {
	const template = `{"source": "Outbound", "node": {{json .Event.Appliance}}, "type": {{json .Event.Type}}, "severity": "«severity»",
 "message_key": {{cut 1024 .Event.Key | json}}, "time_of_event": {{date "2006-01-02 15:04:05" .Event.Time | json}},
 "description": "` + subject + `{{with .Event.ExternalKey}} ({{cut 800 . | jsontext}}){{end}}",
 "additional_info": "{\"vars\": \"{{lines .Vars | cut 3000 | jsontext | jsontext}}\"}"}`
	return Preset{
		Name: "servicenow-event", Title: "ServiceNow event", Description: "Creates an event of Event Management by the Table API (em_event).",
		Source: "https://www.servicenow.com/docs/bundle/xanadu-it-operations-management/page/product/event-management/task/" +
			"send-events-via-web-service.html",
		Fields: serviceNow("em_event", Field{Name: "severity", Label: "Severity", Help: "1 critical, 2 major, 3 minor, 4 warning, 5 info",
			Default: "5", Choices: []string{"1", "2", "3", "4", "5"}}),
		Deduplicates: "The message key is the key of the event: events with one message key belong to one alert.",
		make: func(v values) map[string]any {
			return tableAPI(v, "em_event", values{"severity": v["severity"]}.in(template))
		},
	}
}

func jira() Preset {
	// Version 2 of the API takes text with wiki markup, which {noformat} turns off.
	const template = `{"fields": {"project": {"key": "«project»"}, "issuetype": {"name": "«issue_type»"},
 "summary": "` + subject + `{{with .Event.ExternalKey}} ({{cut 100 . | replace "\n" " " | replace "\r" " " | jsontext}}){{end}}",
 "description": "{noformat}\n{{lines .Vars | cut 30000 | replace "{noformat}" "(noformat)" | jsontext}}\n{noformat}",
 "labels": ["outbound", {{urlquery .Event.Key | cut 255 | json}}]}}`
	return Preset{
		Name: "jira", Title: "Jira", Description: "Creates an issue by the REST API, version 2.",
		Source: "https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issues/#api-rest-api-2-issue-post",
		Fields: []Field{
			{Name: "site", Label: "Site URL", Help: "https://example.atlassian.net", URL: true},
			{Name: "email", Label: "Email address", Help: "address of the account (Data Center: the user name)"},
			{Name: "api_token", Label: "API token", Help: "API token of the account (Data Center: the password)", Secret: true},
			{Name: "project", Label: "Project key", Help: "key of the project, such as OPS"},
			{Name: "issue_type", Label: "Issue type", Help: "name of the issue type", Default: "Task"},
		},
		Deduplicates: "Jira creates an issue each time. The key of the event, URL-encoded, is a label: search for it, or merge by automation.",
		make: func(v values) map[string]any {
			filled := values{"project": v["project"], "issue_type": v["issue_type"]}.in(template)
			return with(body(filled, any2xx), map[string]any{
				"url": trimSlash(v["site"]) + "/rest/api/2/issue", "auth": basic(v["email"], v["api_token"]),
			})
		},
	}
}

func splunk() Preset {
	const template = `{"time": {{.Event.Timestamp}}, "host": {{json .Event.Appliance}}, "source": "outbound", "sourcetype": "«sourcetype»",
 "event": {"key": {{json .Event.Key}}, "type": {{json .Event.Type}}, "appliance": {{json .Event.Appliance}},
  "session": {{json .Event.Session}}, "external_key": {{json .Event.ExternalKey}}, "vars": {{json .Vars}}}`
	return Preset{
		Name: "splunk-hec", Title: "Splunk HTTP Event Collector", Description: "Sends each event to the HTTP Event Collector (HEC).",
		Source: "https://docs.splunk.com/Documentation/Splunk/latest/Data/FormateventsforHTTPEventCollector",
		Fields: []Field{
			{Name: "url", Label: "URL", Help: "https://splunk.example.com:8088/services/collector/event", URL: true},
			{Name: "token", Label: "HEC token", Help: "token of the HTTP Event Collector", Secret: true},
			{Name: "sourcetype", Label: "Source type", Help: "source type of the events", Default: "outbound:event"},
			{Name: "index", Label: "Index", Help: "index of the events (default: that of the token)", Optional: true},
		},
		Deduplicates: "Splunk indexes an event that arrives twice twice: `dedup key` in a search leaves one.",
		make: func(v values) map[string]any {
			end := "}"
			if v["index"] != "" {
				end = `, "index": "«index»"}`
			}
			filled := values{"sourcetype": v["sourcetype"], "index": v["index"]}.in(template + end)
			return with(body(filled, status200), map[string]any{
				"url": v["url"], "auth": map[string]any{"apiKey": map[string]any{"header": "Authorization", "value": "Splunk " + v["token"]}},
			})
		},
	}
}

func syslog() Preset {
	// In the values of parameters ", \ and ] are escaped (RFC 5424, 6.3.3). A message is one line.
	const escaped = ` | replace "\\" "\\\\" | replace "\"" "\\\"" | replace "]" "\\]" | replace "\n" " " | replace "\r" " "}}"`
	const template = `<«priority»>1 {{date "2006-01-02T15:04:05.000000Z07:00" .Event.Time}} {{.Event.Appliance}} outbound - event [event@32473 ` +
		`key="{{.Event.Key` + escaped + ` type="{{.Event.Type}}"{{with .Event.Session}} session="{{cut 500 .` + escaped + `{{end}}` +
		`{{with .Event.ExternalKey}} external_key="{{cut 500 .` + escaped + `{{end}}] {{json .Vars}}`
	return Preset{
		Name: "syslog-http", Title: "Syslog over HTTP", Description: "Posts each event as an RFC 5424 syslog message.",
		Source: "https://www.rfc-editor.org/rfc/rfc5424",
		Fields: []Field{
			{Name: "url", Label: "URL", Help: "HTTP input of the collector: rsyslog imhttp, Vector http_server, Logstash http, Fluent Bit http",
				URL: true},
			{Name: "priority", Label: "Priority", Help: "facility × 8 + severity, 0 to 191", Default: "134", Choices: priorities()},
		},
		Deduplicates: "Collectors keep a message that arrives twice twice; `key` of the structured data is the same.",
		make: func(v values) map[string]any {
			return with(body(values{"priority": v["priority"]}.in(template), any2xx),
				map[string]any{"url": v["url"], "bodyContentType": "text/plain; charset=utf-8"})
		},
	}
}
