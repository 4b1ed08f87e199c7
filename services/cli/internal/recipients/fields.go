package recipients

import "github.com/outbound-events/outbound/services/cli/internal/command"

// recipientFields are the flags that set one field of a recipient each.
func recipientFields() []command.FieldFlag {
	return []command.FieldFlag{
		command.TextFlag("name", "displayName", "name people see, unique"),
		command.ListFlag("event", "eventTypes", "event types to send; may be repeated"),
		command.ListFlag("appliance", "appliances", "appliances whose events are sent; may be repeated (default: all)"),
		command.WordFlag("while-disabled", "whileDisabled", "skip or hold what is accepted while disabled (default skip)"),
		command.TextFlag("filter", "filter", "CEL expression that events must fulfil; see recipients test-filter"),
		command.TextFlag("url", "http.url", "where events are posted"),
		command.FileFlag("ca-file", "http.caCertificatePem", "file with the root certificates (PEM) of the receiver"),
		command.BoolFlag("send-custom-fields", "http.sendCustomFields", "send custom fields"),
		command.DurationFlag("retry-interval", "http.retryInterval", "pause between two attempts (default 30s)"),
		command.DurationFlag("retry-duration", "http.retryDuration", "how long a delivery is tried (default 24h)"),
		command.FloatFlag("backoff", "http.backoff.multiplier", "let the pause grow by this factor after each failure, 1 to 10"),
		command.DurationFlag("backoff-ceiling", "http.backoff.ceiling", "longest pause while it grows (default 1h)"),
		command.WordFlag("format", "http.format", "form, json or json_binary (default form)"),
		command.FileFlag("body-template-file", "http.bodyTemplate", "file with a template of a body of your own"),
		command.TextFlag("body-content-type", "http.bodyContentType", "content type of a body of your own (default application/json)"),
		command.WordFlag("success", "http.success", "http_200 or any_2xx (default http_200)"),
		command.BoolFlag("stop-on-gone", "http.stopOnGone", "end a delivery on 410 Gone"),
		command.IntFlag("max-in-flight", "http.maxInFlight", "requests at once (default 16)"),
		command.WordFlag("order", "http.order", "none or strict (default none)"),
		command.IntFlag("rate", "http.rateLimit.limit", "requests per period at most (default: no limit)"),
		command.DurationFlag("rate-period", "http.rateLimit.period", "period of --rate (default 1s)"),
		command.DurationFlag("timeout", "http.timeout", "how long one request may take (default 15s)"),
		command.ListFlag("contact", "http.contact.addresses", "email addresses told of failures; may be repeated"),
		command.DurationFlag("alert-after", "http.contact.alertAfter", "failing for how long before the first mail (default 5m)"),
		command.DurationFlag("resend-every", "http.contact.resendEvery", "how often the mail is repeated (default 4h)"),
		command.ListFlag("to", "email.addresses", "email addresses of an email recipient; may be repeated"),
		command.BoolFlag("require-external-key", "email.requireExternalKey", "mail only events of sessions with an external key"),
		command.TextFlag("subject", "email.subject", "subject of mails, with macros; see macros list"),
		command.FileFlag("body-file", "email.body", "file with the text of mails, with macros"),
		command.FileFlag("html-body-file", "email.htmlBody", "file with the HTML of mails, with macros"),
	}
}
