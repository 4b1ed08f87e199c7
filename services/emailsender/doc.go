// Package emailsender is the service that sends events to email recipients through the operator's SMTP relay. It takes
// deliveries from the recipients' durable consumers, sends an email to each address, and records the result.
//
// The files:
//
//	service      the engine of the channel with this package's sender; options and dependencies
//	send         one attempt: an SMTP transaction for each address that has not got the email
//	mail         the email of a delivery
//	judge        the verdict on an outcome; the only place that knows SMTP codes
//	notice       alerts to contacts, which other processes queue
//	relaystatus  the status of the relay, from attempts and probes
//	testmail     test emails, for the config service
//
// internal/relay is the SMTP client: connections, their limits, TLS, authentication. The text is written by pkg/render and pkg/mime.
package emailsender
