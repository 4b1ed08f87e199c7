package render

import (
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"
)

// With returns the template with the custom headers of a recipient, whose values it may write.
func (b *BodyTemplate) With(headers map[string]string) *BodyTemplate {
	return &BodyTemplate{compiled: b.compiled, headers: headers}
}

// header is the value of a custom header: where a receiver takes its secret in the body, it is stored sealed as a header.
func (r *rendering) header(name string) (string, error) {
	for have, value := range r.headers {
		if textproto.CanonicalMIMEHeaderKey(have) == textproto.CanonicalMIMEHeaderKey(name) {
			return value, r.spend(len(value) + len(r.headers))
		}
	}
	return "", fmt.Errorf("the recipient has no custom header %s", name)
}

// cut is at most n characters of a text, of which the last is an ellipsis if it is cut.
func (r *rendering) cut(n int, s string) (string, error) {
	if err := r.spend(len(s)); err != nil || n < 1 || utf8.RuneCountInString(s) <= n {
		if n < 1 {
			err = fmt.Errorf("a text can't be cut to %d characters", n)
		}
		return s, err
	}
	at := 0
	for range n - 1 {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return s[:at] + "…", nil
}

// replace replaces each part of a text.
func (r *rendering) replace(part, by, s string) (string, error) {
	if part == "" {
		return "", fmt.Errorf("an empty text can't be replaced")
	}
	n := strings.Count(s, part)
	if err := r.spend(len(s) + n*len(by)); err != nil {
		return "", err
	}
	return strings.ReplaceAll(s, part, by), nil
}

// jsontext is a text as it stands between the quotes of a string in JSON.
func (r *rendering) jsontext(s string) (string, error) {
	out, err := r.json(s)
	return strings.TrimSuffix(strings.TrimPrefix(out, `"`), `"`), err
}

// lines are the entries of a map as `name: value`, one in a line, by name.
func (r *rendering) lines(m map[string]string) (string, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if err := r.spend(len(name) + len(m[name])); err != nil {
			return "", err
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(name + ": " + m[name])
	}
	return b.String(), nil
}
