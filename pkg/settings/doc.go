// Package settings holds what recipients share: the SMTP relay, the retry of email, custom fields, event types, the credentials of
// appliances and API tokens. The values come from the config service; see pkg/configclient.
package settings
