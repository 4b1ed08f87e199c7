// Package protofield converts values to fields of API messages.
package protofield

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// Timestamp converts a time. The zero time is nil.
func Timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// OptionalTimestamp converts a time that may be missing.
func OptionalTimestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return Timestamp(*t)
}

// Text replaces what is not UTF-8, which a protobuf string must be.
func Text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
