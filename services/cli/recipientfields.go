package cli

// recipientFields says which flag sets which field.
func recipientFields() []fieldFlag {
	return []fieldFlag{
		{"name", "displayName", flagText, "display name, unique"},
		{"event", "eventTypes", flagList, "event types to send; may be repeated"},
		{"appliance", "appliances", flagList, "send events only from this appliance; may be repeated (default: all)"},
		{"while-disabled", "whileDisabled", flagWord, "events accepted while disabled: skip them, or hold them until re-enabled (default skip)"},
		{"filter", "filter", flagText, "CEL expression that events must match; see recipients test-filter"},
		{"url", "http.url", flagText, "URL that events are POSTed to"},
		{"ca-file", "http.caCertificatePem", flagFile, "file with the root certificates (PEM) of the receiver"},
		{"send-custom-fields", "http.sendCustomFields", flagBool, "include custom fields"},
		{"retry-interval", "http.retryInterval", flagDuration, "interval between attempts (default 30s)"},
		{"retry-duration", "http.retryDuration", flagDuration, "how long a delivery is retried (default 24h)"},
		{"backoff", "http.backoff.multiplier", flagFloat, "multiply the retry interval by this factor after each failure, 1 to 10"},
		{"backoff-ceiling", "http.backoff.ceiling", flagDuration, "maximum retry interval with backoff (default 1h)"},
		{"format", "http.format", flagWord, "body format: form, json or json_binary (default form)"},
		{"body-template-file", "http.bodyTemplate", flagFile, "file with a custom body template"},
		{"body-content-type", "http.bodyContentType", flagText, "content type of the custom body (default application/json)"},
		{"success", "http.success", flagWord, "statuses that count as success: http_200 or any_2xx (default http_200)"},
		{"stop-on-gone", "http.stopOnGone", flagBool, "stop retrying on 410 Gone"},
		{"max-in-flight", "http.maxInFlight", flagInt, "maximum concurrent requests (default 16)"},
		{"order", "http.order", flagWord, "delivery order: none or strict (default none)"},
		{"rate", "http.rateLimit.limit", flagInt, "maximum requests per period (default: no limit)"},
		{"rate-period", "http.rateLimit.period", flagDuration, "period of --rate (default 1s)"},
		{"timeout", "http.timeout", flagDuration, "request timeout (default 15s)"},
		{"contact", "http.contact.addresses", flagList, "email address that receives failure alerts; may be repeated"},
		{"alert-after", "http.contact.alertAfter", flagDuration, "how long deliveries must fail before an alert is sent (default 5m)"},
		{"resend-every", "http.contact.resendEvery", flagDuration, "interval between repeated alerts (default 4h)"},
		{"to", "email.addresses", flagList, "email address to send to; may be repeated"},
		{"require-external-key", "email.requireExternalKey", flagBool, "send only events of sessions with an external key"},
		{"subject", "email.subject", flagText, "email subject template; see macros list"},
		{"body-file", "email.body", flagFile, "file with the email text template"},
		{"html-body-file", "email.htmlBody", flagFile, "file with the email HTML template"},
	}
}
