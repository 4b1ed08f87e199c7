// Package render writes an event in the forms that recipients get: form-encoded variables, a CloudEvent in JSON, or the subject
// and body of a mail; and it signs what is sent. It is pure: the same event gives the same bytes, at every attempt.
package render
