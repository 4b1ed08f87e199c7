package event

import "strings"

// Untoken is the text that a token stands for; ok is false if the token does not tell, or is none.
func Untoken(token string) (text string, ok bool) {
	if !strings.Contains(token, "=") {
		return token, isToken(token) && len(token) <= MaxTokenLength
	}
	if len(token) > MaxTokenLength {
		return "", false
	}
	var b strings.Builder
	for rest := token; rest != ""; {
		switch {
		case isTokenByte(rest[0]):
			b.WriteByte(rest[0])
			rest = rest[1:]
		case rest[0] == '=' && len(rest) > 2 && strings.IndexByte(upperHex, rest[1]) >= 0 && strings.IndexByte(upperHex, rest[2]) >= 0:
			b.WriteByte(byte(strings.IndexByte(upperHex, rest[1])<<4 | strings.IndexByte(upperHex, rest[2])))
			rest = rest[3:]
		default:
			return "", false
		}
	}
	text = b.String()
	return text, Token(text) == token
}
