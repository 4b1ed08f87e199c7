package events

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// dumpMost is the number of bytes in a hex dump.
const dumpMost = 2 << 10

// readable reports whether bytes are text. The last character may be truncated.
func readable(raw []byte) bool {
	if len(raw) >= rawKept {
		for range utf8.UTFMax - 1 {
			if r, n := utf8.DecodeLastRune(raw); r == utf8.RuneError && n == 1 && len(raw) > 0 {
				raw = raw[:len(raw)-1]
			}
		}
	}
	return utf8.Valid(raw) && strings.IndexFunc(string(raw), func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f
	}) < 0
}

// dump returns a hex dump of the first bytes.
func dump(raw []byte) string { return hex.Dump(raw[:min(len(raw), dumpMost)]) }
