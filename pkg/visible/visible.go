// Package visible finds characters in names that nobody sees or that change how the rest is shown, so that two names look alike, or one
// reads other than it is (Unicode Technical Report 36, 2.10.4; CVE-2021-42574).
package visible

import (
	"fmt"
	"slices"
	"unicode"
)

// Fault says which character of a name is invisible or changes the direction of text, as what is wrong with a field; empty: none.
// Emoji keep their joiners and variation selectors.
func Fault(name string) string {
	var before rune
	for at, r := range []rune(name) {
		what := kind(r)
		if what == "" || joins(r, before) {
			before = r
			continue
		}
		return fmt.Sprintf("has %s, U+%04X, at character %d: remove it", what, r, at+1)
	}
	return ""
}

// The characters that look like none, beside those of Cf (Unicode 15.0, Default_Ignorable_Code_Point and blank letters).
func blank() []rune {
	return []rune{0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
}

const (
	zeroWidthJoiner = 0x200D
	emojiVariation  = 0xFE0F
)

// kind names what is wrong with a character; empty: nothing.
func kind(r rune) string {
	switch {
	case unicode.IsControl(r):
		return "a control character"
	case unicode.Is(unicode.Bidi_Control, r):
		return "a character that changes the direction of text"
	case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point),
		slices.Contains(blank(), r):
		return "an invisible character"
	default:
		return ""
	}
}

// joins reports whether a character belongs to the emoji before it.
func joins(r, before rune) bool {
	symbol := unicode.In(before, unicode.So, unicode.Sk, unicode.Sm)
	return r == emojiVariation && symbol || r == zeroWidthJoiner && (symbol || before == emojiVariation)
}
