package output

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// YAML encodes a value. Texts that would control a terminal, or that a block or plain scalar changes, are in double quotes with escapes.
func YAML(v any, options ...yaml.EncodeOption) ([]byte, error) {
	node, err := yaml.ValueToNode(v, options...)
	if err != nil {
		return nil, err
	}
	ast.Walk(quoter{}, node)
	return fmt.Appendf(nil, "%+v\n", node), nil
}

// quoter puts texts that NeedsQuotes, and keys of several lines, into double quotes.
type quoter struct{}

// Visit implements ast.Visitor.
func (q quoter) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.StringNode:
		if NeedsQuotes(n.Value) {
			n.Token.Type = token.DoubleQuoteType
		}
	case *ast.MappingValueNode:
		if key, ok := n.Key.(*ast.StringNode); ok && strings.Contains(key.Value, "\n") {
			key.Token.Type = token.DoubleQuoteType
		}
	}
	return q
}

// NeedsQuotes reports whether a text must be written in double quotes: a plain or block scalar of YAML changes it (blanks at the begin
// or end, carriage returns), or it would control a terminal.
func NeedsQuotes(s string) bool {
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			return true
		}
	}
	return strings.TrimLeft(s, " \n") != s || strings.TrimRight(s, " ") != s
}

// escapeJSON escapes characters of a JSON text that would control a terminal. They can only be in strings, for which any escape holds.
func escapeJSON(raw []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(raw) {
		switch {
		case unicode.IsPrint(r) || r == '\n' || r == '\t':
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}
