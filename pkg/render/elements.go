package render

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// checkElements refuses what has no place in a mail: mail readers drop it or warn of it, and it would be a way for a value to
// become more than text.
func checkElements(text string) error {
	z := html.NewTokenizer(strings.NewReader(text))
	for line := 1; ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return fmt.Errorf("can't be read: %w", err)
			}
			return nil
		}
		raw := strings.Count(string(z.Raw()), "\n")
		if kind == html.StartTagToken || kind == html.SelfClosingTagToken || kind == html.EndTagToken {
			if err := checkTag(z.Token()); err != nil {
				return fmt.Errorf("line %d %w", line, err)
			}
		}
		line += raw
	}
}

func checkTag(t html.Token) error {
	// To a mail reader everything up to a space is the name; html/template takes less for it, and would escape a macro in it for an attribute.
	if strings.IndexFunc(t.Data, func(r rune) bool { return !isNameChar(r) }) >= 0 {
		return fmt.Errorf("has the element name %q: use letters, digits, hyphens and colons, and a space before attributes", t.Data)
	}
	switch t.DataAtom {
	case atom.Script, atom.Iframe, atom.Frame, atom.Frameset, atom.Object, atom.Embed, atom.Applet, atom.Base, atom.Svg, atom.Math,
		atom.Template, atom.Noscript, atom.Plaintext, atom.Xmp, atom.Noembed, atom.Noframes, atom.Textarea, atom.Form:
		return fmt.Errorf("contains <%s>, which is not allowed in an email: remove it", t.Data)
	default:
	}
	for _, a := range t.Attr {
		name := strings.ToLower(a.Key)
		if strings.Contains(name, "%") {
			return fmt.Errorf("has a percent sign in an attribute name of <%s>: use macros only in text and attribute values", t.Data)
		}
		if strings.HasPrefix(name, "on") || name == "srcdoc" || name == "http-equiv" && !strings.EqualFold(a.Val, "content-type") {
			return fmt.Errorf("has the attribute %s in <%s>, which is not allowed in an email: remove it", name, t.Data)
		}
	}
	return nil
}

// isNameChar reports whether a character may be in the name of an element.
func isNameChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_:.", r)
}

// span is a part of a text.
type span struct{ begin, end int }

// tableRows finds the rows of tables that hold no rows themselves, in their order.
func tableRows(text string) []span {
	z := html.NewTokenizer(strings.NewReader(text))
	var out []span
	at, open := 0, -1
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out
		}
		size := len(z.Raw())
		name, _ := z.TagName()
		if atom.Lookup(name) == atom.Tr {
			switch {
			case kind == html.StartTagToken:
				open = at
			case kind == html.EndTagToken && open >= 0:
				out = append(out, span{open, at + size})
				open = -1
			}
		}
		at += size
	}
}
