// Package recipient knows what a recipient is as the senders see it, its defaults, and whether it wants an event.
package recipient

import (
	"net/url"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
)

// Defaults and bounds of the fields people set. The proto documents the same figures.
const (
	DefaultRetryInterval      = 30 * time.Second
	DefaultEmailRetryInterval = time.Minute
	DefaultRetryDuration      = 24 * time.Hour
	DefaultTimeout            = 15 * time.Second
	DefaultMaxInFlight        = 16
	DefaultBackoffMultiplier  = 2.0
	DefaultBackoffCeiling     = time.Hour
	DefaultAlertAfter         = 5 * time.Minute
	DefaultResendEvery        = 4 * time.Hour
	MaxTimeout                = 30 * time.Second
	MaxInFlight               = 64
	DefaultBodyContentType    = "application/json"
)

// WhileDisabled says what becomes of events accepted while the recipient is disabled.
type WhileDisabled int

// The policies of WhileDisabled.
const (
	// Skip records them SKIPPED.
	Skip WhileDisabled = iota + 1
	// Hold lets them wait until the recipient is enabled.
	Hold
)

// Order says whether events keep their order.
type Order int

// The orders.
const (
	// Unordered sends events as they come.
	Unordered Order = iota + 1
	// Strict sends one event at a time; a stuck one holds the later ones.
	Strict
)

// Format says how a body is written.
type Format int

// The formats.
const (
	// Form is application/x-www-form-urlencoded.
	Form Format = iota + 1
	// JSON is application/cloudevents+json.
	JSON
	// JSONBinary is a CloudEvent in binary mode: attributes in headers, the data as body.
	JSONBinary
)

// Success says which HTTP answers count as delivered.
type Success int

// The success rules.
const (
	// Status200 is 200 exactly.
	Status200 Success = iota + 1
	// Any2xx is 200 to 299.
	Any2xx
)

// Recipient is one recipient with everything a sender needs, defaults filled in. It is not changed once made: a new
// revision is a new value.
type Recipient struct {
	ID          string
	DisplayName string
	Enabled     bool
	// Deleting is set once deletion was asked for: what waits is cancelled.
	Deleting      bool
	WhileDisabled WhileDisabled
	// EventTypes it wants. Never empty.
	EventTypes []string
	// Appliances whose events it wants. Empty: all.
	Appliances []string
	// DisabledWindows are the times in which it was disabled with Skip, oldest first.
	DisabledWindows []Window
	// Maintenance are its planned maintenance windows; nil: none.
	Maintenance *maintenance.Schedule
	// StartSequence is the first sequence of EVENTS that is its own.
	StartSequence uint64
	// Revision counts its changes, from 1.
	Revision uint64
	// PurgedThrough is the last sequence of EVENTS whose deliveries an operator cancelled by emptying the queue; 0: none.
	PurgedThrough uint64
	// BacklogThrough is the last sequence of EVENTS whose deliveries are cancelled because the queue had no room for them any
	// longer; 0: none. BacklogTime is when that was found last.
	BacklogThrough uint64
	BacklogTime    time.Time

	// Filter is a CEL expression that an event must fulfil; empty: none.
	Filter string

	Retry       Retry
	Order       Order
	MaxInFlight int
	RateLimit   RateLimit
	Contact     Contact

	// Exactly one of these is set. Other is the target of a channel that has no field of its own here.
	HTTP  *HTTPTarget
	Email *EmailTarget
	Other Target
}

// Window is a time in which a recipient was disabled. A zero End means: still.
type Window struct {
	Start, End time.Time
}

// Retry is how often and how long a delivery is tried.
type Retry struct {
	Interval time.Duration
	Duration time.Duration
	// Multiplier of the interval after each failure; 0 or 1: none.
	Multiplier float64
	// Ceiling of a multiplied interval.
	Ceiling time.Duration
}

// RateLimit is requests per period. A zero Limit means: none.
type RateLimit struct {
	Limit  int
	Period time.Duration
}

// Contact is who is told when deliveries keep failing.
type Contact struct {
	Addresses []string
	// AlertAfter is how long it must have been failing before the first mail.
	AlertAfter time.Duration
	// ResendEvery is how often the mail is repeated; 0: never.
	ResendEvery time.Duration
}

// HTTPTarget is where an HTTP recipient is reached and in which form. Secrets are in the clear: it must not be printed.
type HTTPTarget struct {
	URL string
	// CAPEM are the roots to verify the receiver with; empty: the system's.
	CAPEM string
	// LegacyTLS and SmallClientHello are concessions to old receivers: see trust.Compat.
	LegacyTLS, SmallClientHello bool

	SendCustomFields bool
	Format           Format
	Success          Success
	Timeout          time.Duration
	Headers          map[string]string
	// SecretHeaders are names of headers that are secrets, beside those that are by their names.
	SecretHeaders  []string
	Auth           Auth
	SigningSecrets []SigningSecret
	// StopOnGone has 410 end a delivery.
	StopOnGone bool
	// BodyTemplate is a Go template that writes the body instead of Format; empty: none.
	BodyTemplate string
	// ContentType is the content type of a body in Format; empty: as the format has it.
	ContentType string
	// BodyContentType is the content type of a templated body.
	BodyContentType string
}

// Auth is how we prove to a receiver who we are. The zero value: not at all.
type Auth struct {
	// Header is the header's name; Value its whole value, e.g. `Bearer …`.
	Header string
	Value  string
	// OAuth2, if set, gets the token of the Authorization header.
	OAuth2 *OAuth2
	// ClientCertificatePEM and ClientKeyPEM, if set, are presented to the receiver.
	ClientCertificatePEM string
	ClientKeyPEM         string
}

// OAuth2 is how a token is had by client credentials (RFC 6749, 4.4).
type OAuth2 struct {
	TokenURL     string
	ClientID     string
	ClientSecret string
	Scopes       []string
	// Parameters are sent along in each request for a token.
	Parameters url.Values
}

// SigningSecret signs requests until Expire; a zero Expire means: always.
type SigningSecret struct {
	// ID names the secret for people.
	ID string
	// Key is the HMAC's key, or the ed25519 private key.
	Key []byte
	// Ed25519 signs with a key pair (`v1a`) instead of HMAC-SHA256 (`v1`).
	Ed25519 bool
	Expire  time.Time
}

// EmailTarget is where an email recipient is reached and in which form.
type EmailTarget struct {
	Addresses          []string
	RequireExternalKey bool
	// MailText are the texts of all event types but those in Overrides.
	MailText
	// Overrides are texts of single event types, by type. What is empty in one is taken from MailText.
	Overrides map[string]MailText
}

// MailText are the texts of a mail, with macros. An empty subject or body is the event type's default; an empty HTML body means
// that there is none.
type MailText struct {
	Subject, Body, HTMLBody string
}

// TextOf is the text of mails about an event type.
func (e *EmailTarget) TextOf(eventType string) MailText {
	t, o := e.MailText, e.Overrides[eventType]
	if o.Subject != "" {
		t.Subject = o.Subject
	}
	if o.Body != "" {
		t.Body = o.Body
	}
	if o.HTMLBody != "" {
		t.HTMLBody = o.HTMLBody
	}
	return t
}
