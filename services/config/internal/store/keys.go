package store

import (
	"encoding/base32"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/services/config/internal/naming"
)

// The keys of the bucket of recipients: a recipient by its id, and the id of the recipient that has a name.
const (
	PrefixRecipient = "r."
	PrefixName      = "name."
)

// The keys of the bucket of settings. Each holds its part of a WatchSettingsResponse, so that all of them merged are the state that
// watchers get.
const (
	KeySMTP         = "smtp"
	KeyEmail        = "email"
	KeyCustomFields = "custom-fields"
	PrefixType      = "type."
	PrefixAppliance = "appliance."
	PrefixUser      = "user."
	PrefixToken     = "token."
)

// KeyRelayToken holds the refresh token that the relay's token endpoint gave in place of the one in the settings. It is no resource:
// endpoints may give a new one every hour, and revisions are for what people change.
const KeyRelayToken = "relay-token"

// KeyFirstAdmin says who is being created as the first administrator, so that of several calls one wins. It is no resource.
const KeyFirstAdmin = "first-admin"

// KeyKeyring holds the sealing keys. It is no resource.
const KeyKeyring = "keyring"

// KeyBackups holds nothing: its revisions say who took and who restored backups.
const KeyBackups = backup.AuditKey

// NameKey returns the key that makes a name unique: the recipient that creates it has the name. Its value is the recipient's id.
func NameKey(name string) string {
	return PrefixName + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(naming.Fold(name))))
}
