package recipients

import "github.com/outbound-events/outbound/services/cli/internal/command"

// recipientFields are the flags that set one field of a recipient each.
func recipientFields() []command.FieldFlag {
	return []command.FieldFlag{
		command.TextFlag("name", "displayName", "display name, unique"),
		command.ListFlag("event", "eventTypes", "event types to send; may be repeated"),
		command.ListFlag("appliance", "appliances", "send events only from this appliance; may be repeated (default: all)"),
		command.WordFlag("while-disabled", "whileDisabled",
			"events accepted while disabled: skip them, or hold them until re-enabled (default skip)"),
		command.TextFlag("filter", "filter", "CEL expression that events must match; see recipients test-filter"),
		command.TextFlag("url", "http.url", "URL that events are POSTed to"),
		command.FileFlag("ca-file", "http.caCertificatePem", "file with the root certificates of the receiver"),
		command.BoolFlag("legacy-tls", "http.legacyTls",
			"for old receivers: TLS 1.2 alone, with RSA key exchange and CBC; weakens the connection (no forward secrecy)"),
		command.BoolFlag("small-client-hello", "http.smallClientHello",
			"no post-quantum key exchange, for receivers and devices on the way that drop large ClientHellos"),
		command.ListFlag("secret-header", "http.secretHeaders", "name of a custom header whose value is a secret; may be repeated"),
		command.BoolFlag("send-custom-fields", "http.sendCustomFields", "include custom fields"),
		command.DurationFlag("retry-interval", "http.retryInterval", "interval between attempts (default 30s)"),
		command.DurationFlag("retry-duration", "http.retryDuration", "how long a delivery is retried (default 24h)"),
		command.FloatFlag("backoff", "http.backoff.multiplier", "multiply the retry interval by this factor after each failure, 1 to 10"),
		command.DurationFlag("backoff-ceiling", "http.backoff.ceiling", "maximum retry interval with backoff (default 1h)"),
		command.WordFlag("format", "http.format", "body format: form, json or json_binary (default form)"),
		command.TextFlag("content-type", "http.contentType", "content type of a body in --format (default as the format says)"),
		command.FileFlag("body-template-file", "http.bodyTemplate", "file with a custom body template"),
		command.TextFlag("body-content-type", "http.bodyContentType", "content type of the custom body (default application/json)"),
		command.WordFlag("success", "http.success", "statuses that count as success: http_200 or any_2xx (default http_200)"),
		command.BoolFlag("stop-on-gone", "http.stopOnGone", "stop retrying on 410 Gone"),
		command.IntFlag("max-in-flight", "http.maxInFlight", "maximum concurrent requests (default 16)"),
		command.WordFlag("order", "http.order", "delivery order: none or strict (default none)"),
		command.IntFlag("rate", "http.rateLimit.limit", "maximum requests per period (default: no limit)"),
		command.DurationFlag("rate-period", "http.rateLimit.period", "period of --rate (default 1s)"),
		command.DurationFlag("timeout", "http.timeout", "request timeout (default 15s)"),
		command.ListFlag("contact", "http.contact.addresses", "email address that receives failure alerts; may be repeated"),
		command.DurationFlag("alert-after", "http.contact.alertAfter", "how long deliveries must fail before an alert is sent (default 5m)"),
		command.DurationFlag("resend-every", "http.contact.resendEvery", "interval between repeated alerts (default 4h)"),
		command.ListFlag("to", "email.addresses", "email address to send to; may be repeated"),
		command.BoolFlag("require-external-key", "email.requireExternalKey", "send only events of sessions with an external key"),
		command.TextFlag("subject", "email.subject", "email subject template; see macros list"),
		command.FileFlag("body-file", "email.body", "file with the email text template"),
		command.FileFlag("html-body-file", "email.htmlBody", "file with the email HTML template"),
	}
}
