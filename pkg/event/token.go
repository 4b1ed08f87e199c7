package event

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// MaxTokenLength is the most characters that Token gives. With it a key has at most 256.
const MaxTokenLength = 191

// hashed begins the token of a text that is too long to be written out. No other token has two `=` in a row there.
const hashed = "=="

// Token makes of any text what subjects, headers, keys and URLs can hold: letters, digits, `_` and `-` stand for themselves, every
// other byte is `=` and its two hexadecimal digits (`a.b` is `a=2Eb`). Different texts have different tokens, because no plain text has
// an `=`; Untoken gives the text back. What would be longer than MaxTokenLength is `==` and the SHA-256 of the text in hexadecimal, which
// can't be turned back. The token of the empty text is empty.
func Token(s string) string {
	if isToken(s) && len(s) <= MaxTokenLength {
		return s
	}
	odd := 0
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			odd++
		}
	}
	if len(s)+2*odd > MaxTokenLength {
		sum := sha256.Sum256([]byte(s))
		return hashed + hex.EncodeToString(sum[:])
	}
	var b strings.Builder
	b.Grow(len(s) + 2*odd)
	for i := range len(s) {
		if c := s[i]; isTokenByte(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('=')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

const upperHex = "0123456789ABCDEF"

// ValidToken reports whether a text can be a token: that of an event's id, as keys have it.
func ValidToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) && s[i] != '=' {
			return false
		}
	}
	return s != "" && len(s) <= MaxTokenLength
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
