// Package yamlstream splits a YAML stream into its documents (YAML 1.2, section 9.2), so that each can be parsed alone: the parser
// stops at the first empty document and does not report what follows it.
package yamlstream

import "bytes"

// Split returns the documents of a stream that hold more than blanks, comments and directives. Each begins with empty lines in
// place of what precedes it, so that a parser reports positions in the stream.
func Split(stream []byte) [][]byte {
	var out [][]byte
	var doc document
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(stream, []byte("\ufeff"))) {
		starts, rest := cutMarker(line, "---")
		ends, _ := cutMarker(line, "...")
		switch {
		case ends:
			out = doc.appendTo(out)
			doc = document{}
		case starts:
			// Directives precede the marker of their document.
			if doc.content {
				out = doc.appendTo(out)
			}
			if doc.content || !doc.directives {
				doc = document{}
			}
			doc.add(number, line)
			doc.content = isContent(rest)
		default:
			doc.add(number, line)
			directive := !doc.content && line[0] == '%'
			doc.directives = doc.directives || directive
			doc.content = doc.content || !directive && isContent(line)
		}
		number++
	}
	return doc.appendTo(out)
}

// document gathers the lines of one document.
type document struct {
	text []byte
	// content says that there is more than markers, comments and directives.
	directives, content bool
}

// add adds the line with a number that starts at 0.
func (d *document) add(number int, line []byte) {
	if d.text == nil {
		d.text = bytes.Repeat([]byte("\n"), number)
	}
	d.text = append(d.text, line...)
}

func (d *document) appendTo(docs [][]byte) [][]byte {
	if !d.content {
		return docs
	}
	return append(docs, d.text)
}

// cutMarker reports whether a line is a document marker, and returns what follows it on the line.
func cutMarker(line []byte, marker string) (bool, []byte) {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.ContainsRune([]byte(" \t\r\n"), rune(rest[0]))), rest
}

func isContent(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] != '#'
}
