// Package httpsender is the service that sends events to HTTP recipients (webhooks). It takes deliveries from the recipients'
// durable consumers, sends each as an HTTP request, and records the result.
//
// An attempt goes through the files in this order:
//
//	service      the engine of the channel with this package's sender; options and dependencies
//	send         one attempt: the request, the response, the outcome
//	request      what the requests to one revision of a recipient have in common: URL, headers, body, transport
//	auth, token  how the recipient is authenticated to; OAuth 2.0 access tokens
//	proxy        responses of an outbound proxy, told from those of the receiver
//	answer       what is read of a response: Retry-After, the beginning of the body
//	malformed    responses that net/http refuses
//	mask         secrets in what a receiver sends back
//	judge        the verdict on an outcome; the only place that knows status codes
//	trace        spans and traceparent
//	doctor       the diagnosis of a recipient, for the config service
//
// A new setting of HTTP recipients that changes the request goes into request.go, one that changes the verdict into judge.go. The body is
// written by pkg/render.
package httpsender
