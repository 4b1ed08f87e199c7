package telemetry

import (
	"context"
	"log/slog"
	"strings"
)

// Redacted stands in a log line or span where a secret would.
const Redacted = "[redacted]"

// redactor is the last line of defence: what is logged under a key that speaks of a secret does not appear. Secrets should not
// get this far; secret.Text hides itself. A line without such keys passes unchanged: slog's own ReplaceAttr would double the
// cost of each line.
type redactor struct{ slog.Handler }

// Handle implements slog.Handler.
func (h redactor) Handle(ctx context.Context, r slog.Record) error {
	dirty := false
	r.Attrs(func(a slog.Attr) bool {
		dirty = speaks(a)
		return !dirty
	})
	if !dirty {
		return h.Handler.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redact(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	return redactor{h.Handler.WithAttrs(redactAll(attrs))}
}

// WithGroup implements slog.Handler.
func (h redactor) WithGroup(name string) slog.Handler { return redactor{h.Handler.WithGroup(name)} }

// speaks reports whether a, or what is inside it, may be a secret.
func speaks(a slog.Attr) bool {
	if secretKey(a.Key) {
		return true
	}
	switch a.Value.Kind() {
	case slog.KindGroup, slog.KindLogValuer:
		v := a.Value.Resolve()
		if v.Kind() != slog.KindGroup {
			return false
		}
		for _, inner := range v.Group() {
			if speaks(inner) {
				return true
			}
		}
		return false
	default:
		return false
	}
}

func redact(a slog.Attr) slog.Attr {
	if secretKey(a.Key) {
		return slog.String(a.Key, Redacted)
	}
	if !speaks(a) {
		return a
	}
	return slog.Attr{Key: a.Key, Value: slog.GroupValue(redactAll(a.Value.Resolve().Group())...)}
}

func redactAll(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, 0, len(attrs))
	for _, a := range attrs {
		clean = append(clean, redact(a))
	}
	return clean
}

// secretKey is asked for every attribute of every line, so the last two letters decide for nearly all of them.
func secretKey(key string) bool {
	n := len(key)
	if n < 5 {
		return false
	}
	switch [2]byte{key[n-2] | 0x20, key[n-1] | 0x20} {
	case [2]byte{'e', 'n'}, [2]byte{'r', 'd'}, [2]byte{'e', 't'}, [2]byte{'o', 'n'}, [2]byte{'i', 'e'}, [2]byte{'s', 'e'}, [2]byte{'e', 'y'}:
	default:
		return false
	}
	key = strings.ToLower(key)
	for _, end := range [...]string{"token", "password", "secret", "authorization", "cookie", "passphrase", "private_key", "privatekey",
		"api_key", "apikey"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}
