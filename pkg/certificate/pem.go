package certificate

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Parse reads all certificates of a text, in their order. Text between the blocks is a comment, as RFC 7468 has it; whatever looks like
// a part of a certificate there is an error. Its errors continue a sentence that begins with the name of the field.
func Parse(text string) ([]*x509.Certificate, error) {
	blocks, err := split([]byte(text))
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for _, b := range blocks {
		found, err := b.certificates(len(out) + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		return nil, errNone
	}
	return out, nil
}

// Pool reads the certificates of a text into a pool.
func Pool(text string) (*x509.CertPool, error) {
	all, err := Parse(text)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range all {
		pool.AddCert(c)
	}
	return pool, nil
}

var errNone = errors.New("contains no PEM certificate: it must start with -----BEGIN CERTIFICATE-----")

// block is one block of PEM, or what a binary file holds, which has no label.
type block struct {
	label string
	// line is where it begins, from 1; 0: the text has no lines.
	line      int
	der       []byte
	encrypted bool
}

// where says in words where the block is.
func (b block) where() string {
	if b.line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", b.line)
}

// The lines around a block. RFC 7468 has five hyphens; people have fewer, and blanks, after copying.
var (
	beginLine = regexp.MustCompile(`-+[ \t]*BEGIN ([A-Z0-9][A-Z0-9 #]*[A-Z0-9])[ \t]*-+`)
	endLine   = regexp.MustCompile(`-+[ \t]*END ([A-Z0-9][A-Z0-9 #]*[A-Z0-9])[ \t]*-{1,5}`)
	// strayLine is what is left of such a line when it can't be read as one.
	strayLine = regexp.MustCompile(`--[ \t]*(?i:BEGIN|END)\b|\b(BEGIN|END)[ \t]+([A-Z0-9]+ )*(CERTIFICATE|PKCS7|PRIVATE KEY)\b`)
	// strayBody is the first line of a body: DER of more than 127 bytes begins with MI in base64.
	strayBody = regexp.MustCompile(`(^|[\s"'])MI[A-Za-z0-9+/]{38,}`)
)

// split finds the blocks of a text or of the content of a file.
func split(content []byte) ([]block, error) {
	if isDER(content) {
		return []block{{der: content}}, nil
	}
	text, err := plain(content)
	if err != nil {
		return nil, err
	}
	var out []block
	line := 1
	for rest := text; ; {
		at := beginLine.FindStringSubmatchIndex(rest)
		if at == nil {
			return finish(out, rest, line)
		}
		if err := comment(rest[:at[0]], line); err != nil {
			return nil, err
		}
		line += strings.Count(rest[:at[0]], "\n")
		b := block{label: rest[at[2]:at[3]], line: line}
		end := endLine.FindStringSubmatchIndex(rest[at[1]:])
		next := beginLine.FindStringIndex(rest[at[1]:])
		if end == nil || next != nil && next[0] < end[0] {
			return nil, fmt.Errorf("has no END line for the %s that begins at line %d: the text is cut off there, copy the whole file",
				b.label, line)
		}
		body := rest[at[1] : at[1]+end[0]]
		if label := rest[at[1]+end[2] : at[1]+end[3]]; label != b.label {
			return nil, fmt.Errorf("begins with %s at line %d and ends with %s: lines are missing between the two", b.label, line, label)
		}
		if b.der, b.encrypted, err = decode(body); err != nil && !b.encrypted {
			return nil, fmt.Errorf("holds a %s at line %d that %w", b.label, line, err)
		}
		out = append(out, b)
		line += strings.Count(rest[at[0]:at[1]+end[1]], "\n")
		rest = rest[at[1]+end[1]:]
	}
}

// finish checks what follows the last block. A text without a block may be the base64 alone.
func finish(out []block, rest string, line int) ([]block, error) {
	if len(out) == 0 {
		if der, _, err := decode(rest); err == nil && isDER(der) {
			return []block{{der: der}}, nil
		}
	}
	return out, comment(rest, line)
}

// comment checks that a text between blocks hides none.
func comment(text string, line int) error {
	at := strayLine.FindStringIndex(text)
	if at == nil {
		at = strayBody.FindStringIndex(text)
	}
	if at == nil {
		return nil
	}
	line += strings.Count(text[:at[0]], "\n")
	return fmt.Errorf("holds a certificate or key at line %d without its lines -----BEGIN … and -----END …: copy the whole file", line)
}

// decode reads the body of a block: base64 with whatever whitespace, after headers (RFC 1421) that only keys have.
func decode(body string) (der []byte, encrypted bool, err error) {
	body = strings.NewReplacer(`\r`, "\n", `\n`, "\n").Replace(body)
	var b strings.Builder
	for l := range strings.SplitSeq(body, "\n") {
		if strings.Contains(l, ":") {
			encrypted = encrypted || strings.Contains(l, "ENCRYPTED") || strings.Contains(l, "DEK-Info")
			continue
		}
		for _, r := range l {
			if !unicode.IsSpace(r) {
				b.WriteRune(r)
			}
		}
	}
	text := strings.TrimRight(b.String(), "=")
	if text == "" {
		return nil, encrypted, errors.New("is empty")
	}
	der, err = base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, encrypted, errors.New("is not base64: characters were lost or changed, copy the file again")
	}
	return der, encrypted, nil
}

// plain returns a text in UTF-8, with the line ends, hyphens and blanks of a terminal.
func plain(content []byte) (string, error) {
	text := wide(content)
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "", errors.New("is neither text nor a certificate in DER: " + toPEM)
	case strings.ContainsRune(text, utf8.RuneError) && !strings.Contains(text, "BEGIN"):
		return "", errors.New("is a binary file that was read as text, which destroys it: " + toPEM)
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n").Replace(text)
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\ufeff', r == '\u200b', r == '\u200c', r == '\u200d', r == '\u2060', r == '\u00ad':
			return -1
		case r >= '\u2010' && r <= '\u2015', r == '\u2212':
			return '-'
		case r != '\n' && unicode.IsSpace(r):
			return ' '
		}
		return r
	}, text), nil
}

// wide reads UTF-16, which Windows writes, into UTF-8; other text is returned as it is.
func wide(b []byte) string {
	little := len(b) >= 4 && (b[0] == 0xff && b[1] == 0xfe || b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0)
	big := len(b) >= 4 && (b[0] == 0xfe && b[1] == 0xff || b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0)
	if !little && !big || len(b)%2 != 0 {
		return string(b)
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		low, high := b[i], b[i+1]
		if big {
			low, high = high, low
		}
		units = append(units, uint16(high)<<8|uint16(low))
	}
	return string(utf16.Decode(units))
}
