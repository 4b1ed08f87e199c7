package telemetry

import (
	"log/slog"
	"strings"
)

// Redacted stands in a log line where a secret would.
const Redacted = "[redacted]"

// redact is the last line of defence: what is logged under a key that speaks of a secret does not appear. Secrets should not
// get this far; secret.Text hides itself.
func redact(_ []string, a slog.Attr) slog.Attr {
	if len(a.Key) >= 5 && secretKey(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	return a
}

// secretKey is asked for every attribute of every line, so it looks at the key's end alone and allocates nothing for keys in
// lower case.
func secretKey(key string) bool {
	key = strings.ToLower(key)
	for _, end := range [...]string{"token", "password", "secret", "authorization", "cookie", "passphrase", "private_key", "api_key"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}
