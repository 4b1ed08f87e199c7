package cli

// recipientFields says which flag sets which field.
func recipientFields() []fieldFlag {
	return []fieldFlag{
		{"name", "displayName", flagText, "name people see, unique"},
		{"event", "eventTypes", flagList, "event types to send; may be repeated"},
		{"appliance", "appliances", flagList, "appliances whose events are sent; may be repeated (default: all)"},
		{"while-disabled", "whileDisabled", flagWord, "skip or hold what is accepted while disabled (default skip)"},
		{"filter", "filter", flagText, "CEL expression that events must fulfil; see recipients test-filter"},
		{"url", "http.url", flagText, "where events are posted"},
		{"ca-file", "http.caCertificatePem", flagFile, "file with the root certificates (PEM) of the receiver"},
		{"send-custom-fields", "http.sendCustomFields", flagBool, "send custom fields"},
		{"retry-interval", "http.retryInterval", flagDuration, "pause between two attempts (default 30s)"},
		{"retry-duration", "http.retryDuration", flagDuration, "how long a delivery is tried (default 24h)"},
		{"backoff", "http.backoff.multiplier", flagFloat, "let the pause grow by this factor after each failure, 1 to 10"},
		{"backoff-ceiling", "http.backoff.ceiling", flagDuration, "longest pause while it grows (default 1h)"},
		{"format", "http.format", flagWord, "form, json or json_binary (default form)"},
		{"body-template-file", "http.bodyTemplate", flagFile, "file with a template of a body of your own"},
		{"body-content-type", "http.bodyContentType", flagText, "content type of a body of your own (default application/json)"},
		{"success", "http.success", flagWord, "http_200 or any_2xx (default http_200)"},
		{"stop-on-gone", "http.stopOnGone", flagBool, "end a delivery on 410 Gone"},
		{"max-in-flight", "http.maxInFlight", flagInt, "requests at once (default 16)"},
		{"order", "http.order", flagWord, "none or strict (default none)"},
		{"rate", "http.rateLimit.limit", flagInt, "requests per period at most (default: no limit)"},
		{"rate-period", "http.rateLimit.period", flagDuration, "period of --rate (default 1s)"},
		{"timeout", "http.timeout", flagDuration, "how long one request may take (default 15s)"},
		{"contact", "http.contact.addresses", flagList, "email addresses told of failures; may be repeated"},
		{"alert-after", "http.contact.alertAfter", flagDuration, "failing for how long before the first mail (default 5m)"},
		{"resend-every", "http.contact.resendEvery", flagDuration, "how often the mail is repeated (default 4h)"},
		{"to", "email.addresses", flagList, "email addresses of an email recipient; may be repeated"},
		{"require-external-key", "email.requireExternalKey", flagBool, "mail only events of sessions with an external key"},
		{"subject", "email.subject", flagText, "subject of mails, with macros; see macros list"},
		{"body-file", "email.body", flagFile, "file with the text of mails, with macros"},
		{"html-body-file", "email.htmlBody", flagFile, "file with the HTML of mails, with macros"},
	}
}
