package cli

// recipientFields says which flag sets which field.
func recipientFields() []fieldFlag {
	return []fieldFlag{
		textFlag("name", "displayName", "name people see, unique"),
		listFlag("event", "eventTypes", "event types to send; may be repeated"),
		listFlag("appliance", "appliances", "appliances whose events are sent; may be repeated (default: all)"),
		wordFlag("while-disabled", "whileDisabled", "skip or hold what is accepted while disabled (default skip)"),
		textFlag("filter", "filter", "CEL expression that events must fulfil; see recipients test-filter"),
		textFlag("url", "http.url", "where events are posted"),
		fileFlag("ca-file", "http.caCertificatePem", "file with the root certificates (PEM) of the receiver"),
		boolFlag("send-custom-fields", "http.sendCustomFields", "send custom fields"),
		durationFlag("retry-interval", "http.retryInterval", "pause between two attempts (default 30s)"),
		durationFlag("retry-duration", "http.retryDuration", "how long a delivery is tried (default 24h)"),
		floatFlag("backoff", "http.backoff.multiplier", "let the pause grow by this factor after each failure, 1 to 10"),
		durationFlag("backoff-ceiling", "http.backoff.ceiling", "longest pause while it grows (default 1h)"),
		wordFlag("format", "http.format", "form, json or json_binary (default form)"),
		fileFlag("body-template-file", "http.bodyTemplate", "file with a template of a body of your own"),
		textFlag("body-content-type", "http.bodyContentType", "content type of a body of your own (default application/json)"),
		wordFlag("success", "http.success", "http_200 or any_2xx (default http_200)"),
		boolFlag("stop-on-gone", "http.stopOnGone", "end a delivery on 410 Gone"),
		intFlag("max-in-flight", "http.maxInFlight", "requests at once (default 16)"),
		wordFlag("order", "http.order", "none or strict (default none)"),
		intFlag("rate", "http.rateLimit.limit", "requests per period at most (default: no limit)"),
		durationFlag("rate-period", "http.rateLimit.period", "period of --rate (default 1s)"),
		durationFlag("timeout", "http.timeout", "how long one request may take (default 15s)"),
		listFlag("contact", "http.contact.addresses", "email addresses told of failures; may be repeated"),
		durationFlag("alert-after", "http.contact.alertAfter", "failing for how long before the first mail (default 5m)"),
		durationFlag("resend-every", "http.contact.resendEvery", "how often the mail is repeated (default 4h)"),
		listFlag("to", "email.addresses", "email addresses of an email recipient; may be repeated"),
		boolFlag("require-external-key", "email.requireExternalKey", "mail only events of sessions with an external key"),
		textFlag("subject", "email.subject", "subject of mails, with macros; see macros list"),
		fileFlag("body-file", "email.body", "file with the text of mails, with macros"),
		fileFlag("html-body-file", "email.htmlBody", "file with the HTML of mails, with macros"),
	}
}
