package secret

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// shortest is how long a secret must be to be masked, and how much of the beginning of one is masked at a cut, in bytes. What is shorter
// stands in texts by chance.
const shortest = 4

// shortestCode is how long an encoded form must be, in bytes.
const shortestCode = 6

// Masker replaces secrets in texts that others have written, such as the answer of a receiver that repeats the request, by "[redacted]". It
// may be used by many goroutines. The zero value and nil mask nothing.
type Masker struct {
	forms    []string
	replacer *strings.Replacer
}

// NewMasker returns a masker of secrets in all forms that Forms lists. Secrets of fewer than four bytes are not masked.
func NewMasker(secrets ...string) *Masker {
	m := &Masker{}
	for _, s := range secrets {
		m.forms = append(m.forms, Forms(s)...)
	}
	// Of two forms that begin at one place, the longer one is replaced.
	slices.SortFunc(m.forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	m.forms = slices.Compact(m.forms)
	if len(m.forms) == 0 {
		return m
	}
	pairs := make([]string, 0, 2*len(m.forms))
	for _, f := range m.forms {
		pairs = append(pairs, f, redacted)
	}
	m.replacer = strings.NewReplacer(pairs...)
	return m
}

// Mask returns a text without the secrets.
func (m *Masker) Mask(text string) string {
	if m == nil || m.replacer == nil || text == "" {
		return text
	}
	return m.replacer.Replace(text)
}

// MaskCut is Mask for a text that may have been cut at its end: the beginning of a secret there is masked too.
func (m *Masker) MaskCut(text []byte) []byte {
	if m == nil || m.replacer == nil || len(text) == 0 {
		return text
	}
	out := []byte(m.replacer.Replace(string(text)))
	begun := 0
	for _, f := range m.forms {
		for n := min(len(f)-1, len(out)); n >= max(shortest, begun+1); n-- {
			if bytes.HasSuffix(out, []byte(f[:n])) {
				begun = n
				break
			}
		}
	}
	if begun == 0 {
		return out
	}
	return append(out[:len(out)-begun], redacted...)
}

// Forms are the ways in which a text may repeat a secret: as it is, URL-encoded, escaped in JSON or HTML, in hexadecimal, and in base64 by
// itself or within a longer value. There are none of a secret that is too short to be told from other text.
func Forms(s string) []string {
	if len(s) < shortest {
		return nil
	}
	out := []string{s}
	add := func(forms ...string) {
		for _, f := range forms {
			if len(f) >= shortestCode && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	for _, encoded := range []string{url.QueryEscape(s), strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), url.PathEscape(s)} {
		add(encoded, lowerPercent(encoded))
	}
	plain := quoted(s)
	ascii := strconv.QuoteToASCII(s)
	add(plain, strings.ReplaceAll(plain, "/", `\/`), ascii[1:len(ascii)-1])
	if b, err := json.Marshal(s); err == nil {
		add(string(b[1 : len(b)-1]))
	}
	add(html.EscapeString(s), strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(s))
	lower := hex.EncodeToString([]byte(s))
	add(lower, strings.ToUpper(lower))
	for _, code := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		add(code.EncodeToString([]byte(s)))
	}
	for offset := range 3 {
		inner := within(s, offset)
		if len(inner) >= 2*shortest {
			add(inner, strings.NewReplacer("+", "-", "/", "_").Replace(inner))
		}
	}
	return out
}

// quoted is a text as the inside of a string in JSON, with nothing escaped for the sake of HTML.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return s
	}
	return b.String()[1 : b.Len()-2]
}

// within is the part of a base64 text that depends on s alone, where s begins offset bytes behind a group of three.
func within(s string, offset int) string {
	text := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), s...))
	if (offset+len(s))%3 != 0 {
		text = text[:len(text)-1]
	}
	return text[min(len(text), (offset*8+5)/6):]
}

// lowerPercent spells percent-encoding with small letters.
func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}
