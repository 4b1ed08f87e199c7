// Package guessable finds passwords that are guessed first: common ones, and what people make of them to reach a length. It asks no
// service. See NIST SP 800-63B, 3.1.1.2: verifiers compare passwords with lists of common, expected or compromised values.
package guessable

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"
)

//go:embed common.txt
var common string

// affix is how many digits and signs before or after a word count as nothing: 2026!!!.
const affix = 8

// List is what passwords are compared with. It may be used by many goroutines.
type List struct{ words map[string]bool }

// New reads the list of common passwords.
func New() *List {
	l := &List{words: map[string]bool{}}
	for line := range strings.Lines(common) {
		if w := strings.TrimSpace(line); w != "" && !strings.HasPrefix(w, "#") {
			l.words[w] = true
		}
	}
	for _, w := range strings.Fields("january february march april june july august september october november december " +
		"spring summer autumn winter monday tuesday wednesday thursday friday saturday sunday " +
		"administrator changeme default letmein passphrase passwort motdepasse contrasena webhook appliance") {
		l.words[w] = true
	}
	return l
}

// Why says why a password is guessed soon, as what is wrong with a field; empty: nothing is known against it. own are names that belong
// to the password: of the user, of the product.
func (l *List) Why(password string, own ...string) string {
	s := strings.ToLower(strings.TrimSpace(password))
	for _, name := range ownWords(own) {
		if l.builtOn(s, func(w string) bool { return w == name }) {
			return "is built on " + name + ": use several words that nobody expects"
		}
	}
	switch {
	case !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsDigit(r) }):
		return "has digits alone: use several words"
	case l.builtOn(s, func(w string) bool { return l.words[w] }):
		return "is one of the common passwords, or built on one: use several words that nobody expects"
	case walks(s):
		return "is a sequence of neighbouring keys or letters: use several words"
	default:
		return ""
	}
}

// ownWords splits names into words that are long enough to count.
func ownWords(own []string) []string {
	var out []string
	for _, name := range own {
		name = strings.ToLower(name)
		for _, w := range append(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), name) {
			if len([]rune(w)) >= 3 && !slices.Contains(out, w) {
				out = append(out, w)
			}
		}
	}
	return out
}

// builtOn reports whether a text is a known word, also with digits and signs around it, with digits and signs for letters, repeated, or
// beside another known word.
func (l *List) builtOn(s string, known func(string) bool) bool {
	return eachCore(s, func(core string) bool {
		for _, w := range spellings(core) {
			if known(w) || known(unit(w)) || twoOf(w, known) {
				return true
			}
		}
		return eachCore(unit(core), known)
	})
}

// eachCore calls f with a text and with what is left of it without up to affix digits and signs at each end, until f returns true.
func eachCore(s string, f func(core string) bool) bool {
	r := []rune(s)
	before, after := 0, 0
	for before < min(len(r), affix) && !unicode.IsLetter(r[before]) {
		before++
	}
	for after < min(len(r), affix) && !unicode.IsLetter(r[len(r)-1-after]) {
		after++
	}
	for i := 0; i <= before; i++ {
		for j := 0; j <= after && i+j < len(r); j++ {
			if f(string(r[i : len(r)-j])) {
				return true
			}
		}
	}
	return false
}

// spellings returns a text as it is, and with letters for the digits and signs that stand for them.
func spellings(s string) []string {
	usual := strings.NewReplacer("0", "o", "3", "e", "4", "a", "5", "s", "7", "t", "8", "b", "9", "g", "@", "a", "$", "s", "!", "i", "+", "t",
		"1", "i", "-", "", "_", "", ".", "", " ", "")
	other := strings.NewReplacer("1", "l", "!", "l")
	return []string{s, usual.Replace(s), usual.Replace(other.Replace(s))}
}

// unit returns what a text repeats; the text itself if it repeats nothing. The last repetition may be cut off.
func unit(s string) string {
	r := []rune(s)
	for n := 1; n <= len(r)/2; n++ {
		same := true
		for i := n; i < len(r) && same; i++ {
			same = r[i] == r[i-n]
		}
		if same {
			return string(r[:n])
		}
	}
	return s
}

// leastOfTwo is the length of the shorter one of two words that are joined.
const leastOfTwo = 4

// twoOf reports whether a text is two known words.
func twoOf(s string, known func(string) bool) bool {
	for i := leastOfTwo; i <= len(s)-leastOfTwo; i++ {
		if known(s[:i]) && known(s[i:]) {
			return true
		}
	}
	return false
}

// rows are characters in the order of keyboards and alphabets.
func rows() []string {
	return []string{"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiopü", "yxcvbnm,.-",
		"azertyuiop", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p", "!@#$%^&*()_+"}
}

// The bounds of a walk: the shortest run that counts, and how many characters outside of runs make a text more than that.
const (
	leastRun = 3
	outside  = 4
)

// walks reports whether a text is made of runs along rows, forward or backward, or of repeated characters.
func walks(s string) bool {
	r := []rune(s)
	left := 0
	for i := 0; i < len(r); {
		n := longestRun(r[i:])
		if n < leastRun {
			left++
			n = 1
		}
		i += n
	}
	return left < outside
}

// longestRun is the length of the longest run at the beginning of a text.
func longestRun(r []rune) int {
	best := 1
	for best < len(r) && r[best] == r[0] {
		best++
	}
	for _, row := range rows() {
		back := []rune(row)
		slices.Reverse(back)
		for _, line := range []string{row, string(back)} {
			n := best + 1
			for n <= len(r) && strings.Contains(line, string(r[:n])) {
				best, n = n, n+1
			}
		}
	}
	return best
}
