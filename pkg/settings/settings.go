package settings

import (
	"net/url"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
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
	// TypeAliases are the ids of types by their aliases: CloudEvents types of other publishers.
	TypeAliases map[string]string
	// Appliances is what credentials are checked against, by appliance id.
	Appliances map[string]ApplianceAuth
	// Tokens are the API tokens, by the SHA-256 of their secrets.
	Tokens map[[32]byte]Token
}

// TypeOf is the id of the type that a CloudEvents type names, itself or as an alias; ok is false if there is none.
func (s *Settings) TypeOf(sent string) (id string, ok bool) {
	if _, ok := s.Types[sent]; ok {
		return sent, true
	}
	id, ok = s.TypeAliases[sent]
	return id, ok
}

// Role is what the holder of an API token may do, as the API spells it.
type Role string

// The roles.
const (
	Viewer   Role = "VIEWER"
	Operator Role = "OPERATOR"
	Admin    Role = "ADMIN"
	// Receiver pulls the deliveries of one recipient.
	Receiver Role = "RECEIVER"
)

// Token is an API token.
type Token struct {
	ID   string
	Name string
	Role Role
	// Recipient is the one whose deliveries a Receiver pulls, and RecipientStart where its events begin.
	Recipient      string
	RecipientStart uint64
	// Expire is when it ends; zero: never.
	Expire time.Time
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
	// XOAUTH2 has the password as its access token, or gets tokens by OAuth2.
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
	CAPEM string
	// LegacyTLS and SmallClientHello are concessions to an old relay: see trust.Compat.
	LegacyTLS, SmallClientHello bool

	AdminContacts []string
	// Hello is the name we introduce ourselves with; empty: the sender's own choice.
	Hello string
	// OAuth2, if set, is how access tokens are got.
	OAuth2 *RelayOAuth2
	// RateLimit is mails per period.
	RateLimit recipient.RateLimit
	// MaxConnections at once from each sender; 0: DefaultMaxConnections.
	MaxConnections int
	// Etag changes with every change of these settings.
	Etag string
	// DailyNotice is the time of day, `HH:MM` in Email.Location, of the daily communication notice; empty: there is none.
	DailyNotice string
}

// AdminContact is who is told of what is nobody else's, and when.
func (s SMTP) AdminContact() recipient.Contact {
	return recipient.Contact{Addresses: s.AdminContacts, AlertAfter: recipient.DefaultAlertAfter, ResendEvery: recipient.DefaultResendEvery}
}

// DefaultMaxConnections is how many connections to the relay a sender has if the settings do not say, DefaultNoticeTime when the
// daily notice is sent.
const (
	DefaultMaxConnections = 4
	DefaultNoticeTime     = "08:00"
)

// RelayOAuth2 is how access tokens for the relay are got (RFC 6749): by the refresh token if there is one, else by client
// credentials. Secrets are in the clear: the value must not be printed.
type RelayOAuth2 struct {
	TokenURL, ClientID, ClientSecret, RefreshToken string
	Scopes                                         []string
	// Parameters are sent along in each request for a token.
	Parameters url.Values
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
	// Created is when it was added.
	Created time.Time
	// SilentAfter is how long it may publish nothing before that is told; 0: it is never told.
	SilentAfter time.Duration
	// MaxEventsPerSecond and MaxBytesPerSecond are how much it may publish; 0: the default of the intake.
	MaxEventsPerSecond, MaxBytesPerSecond int
	// TokenSHA256 of the bearer token, which is not accepted from TokenExpire on; zero: it does not expire.
	TokenSHA256 [32]byte
	TokenExpire time.Time
	// PreviousTokenSHA256 of the token before, which is accepted until PreviousTokenExpire; zero: there is none.
	PreviousTokenSHA256 [32]byte
	PreviousTokenExpire time.Time
	// PasswordBcrypt is the hash of the NATS password as a nats-server configuration takes it.
	PasswordBcrypt string
}
