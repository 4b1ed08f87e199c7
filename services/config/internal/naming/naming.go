// Package naming compares display names and makes ids of them.
package naming

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns the form in which names are compared: case, surrounding blanks and the encoding of accents do not count.
func Fold(name string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(name))))
}

// Slug returns the lower-case ASCII letters and digits of a name, with a mark in place of everything between them.
func Slug(name string, mark byte) string {
	var b strings.Builder
	for _, r := range Fold(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), string(mark)) {
			b.WriteByte(mark)
		}
	}
	return strings.TrimRight(b.String(), string(mark))
}

// Truncate cuts an id to at most n bytes and removes marks at its end.
func Truncate(id string, n int) string {
	if len(id) > n {
		id = id[:n]
	}
	return strings.TrimRight(id, "-_")
}

// SafeID reports whether an id can be part of a bucket's key.
func SafeID(id string) bool {
	for part := range strings.SplitSeq(id, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '@'
		}) {
			return false
		}
	}
	return true
}
