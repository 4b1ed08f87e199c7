package configclient

import (
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

// Settings are what recipients share, as they are at one moment. They are not changed once made.
type Settings struct {
	SMTP  SMTP
	Email Email
	// CustomFields are the code names of the custom fields, sorted.
	CustomFields []string
	// CustomFieldNames are their display names by code name.
	CustomFieldNames map[string]string
	// Types is the event catalogue by id, built-in types included.
	Types map[string]event.Type
	// Appliances is what credentials are checked against, by appliance id.
	Appliances map[string]ApplianceAuth
}

// Encryption says how a connection to the relay is encrypted.
type Encryption string

// The encryptions, as the API spells them.
const (
	// NoEncryption sends in the clear.
	NoEncryption Encryption = "NONE"
	// STARTTLS is required of the relay: one that does not offer it gets nothing.
	STARTTLS Encryption = "STARTTLS"
	// TLS encrypts from the first byte.
	TLS Encryption = "TLS"
)

// AuthMethod says how we sign in to the relay.
type AuthMethod string

// The methods, as the API spells them.
const (
	// NoAuth does not sign in.
	NoAuth AuthMethod = "NONE"
	// Plain is SASL PLAIN.
	Plain AuthMethod = "PLAIN"
	// Login is LOGIN.
	Login AuthMethod = "LOGIN"
	// CRAMMD5 is CRAM-MD5.
	CRAMMD5 AuthMethod = "CRAM_MD5"
	// XOAUTH2 has the password as its access token.
	XOAUTH2 AuthMethod = "XOAUTH2"
)

// SMTP is the relay. An empty Host means that none is set. Password is in the clear: the value must not be printed.
type SMTP struct {
	Host       string
	Port       int
	Encryption Encryption
	Auth       AuthMethod
	Username   string
	Password   string
	// FromAddress and FromName are the sender.
	FromAddress string
	FromName    string
	// CAPEM are the roots to verify the relay with; empty: the system's.
	CAPEM         string
	AdminContacts []string
}

// Email is what holds for all email recipients.
type Email struct {
	RetryInterval time.Duration
	RetryDuration time.Duration
	// Location is the zone of the times in mails. Never nil.
	Location *time.Location
}

// ApplianceAuth is what the credentials of an appliance are checked against.
type ApplianceAuth struct {
	DisplayName string
	// TokenSHA256 of the bearer token.
	TokenSHA256 [32]byte
	// PasswordBcrypt is the hash of the NATS password as a nats-server configuration takes it.
	PasswordBcrypt string
}
