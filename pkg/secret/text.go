package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// redacted stands where a secret would.
const redacted = "[redacted]"

// Text is a secret in memory. It prints as "[redacted]" wherever it ends up: in fmt with every verb, in JSON, in a log. The
// one way to its value is Reveal.
type Text struct{ value string }

// NewText hides value.
func NewText(value string) Text { return Text{value: value} }

// Reveal is the secret itself.
func (t Text) Reveal() string { return t.value }

// Empty reports whether there is no secret.
func (t Text) Empty() bool { return t.value == "" }

// Equal compares with s in a time that tells nothing about either.
func (t Text) Equal(s string) bool { return Equal(t.value, s) }

// Format implements fmt.Formatter, so that no verb prints the value.
func (t Text) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// String implements fmt.Stringer.
func (t Text) String() string { return redacted }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText implements encoding.TextMarshaler, which YAML and maps use.
func (t Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }
