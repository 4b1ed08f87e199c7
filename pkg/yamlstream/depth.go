package yamlstream

import "bytes"

// MaxDepth is how deep a document may be nested on one line, or by brackets. Parsers call themselves for each level, and a process whose
// stack is full ends.
const MaxDepth = 200

// TooDeep reports whether a document is nested deeper than MaxDepth, and in which line. It counts brackets wherever they stand, and
// dashes at the beginning of a line; block nesting by indentation is bounded by the length of the lines that it takes.
func TooDeep(doc []byte) (line int, deep bool) {
	depth := 0
	for text := range bytes.Lines(doc) {
		line++
		if entries(text) > MaxDepth {
			return line, true
		}
		for _, c := range text {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			}
			if depth > MaxDepth {
				return line, true
			}
		}
	}
	return 0, false
}

// entries counts the indicators of block entries that a line begins with: `- - - x`, `? ? x`.
func entries(line []byte) int {
	n := 0
	for len(line) > 0 {
		switch {
		case line[0] == ' ' || line[0] == '\t':
			line = line[1:]
		case len(line) > 1 && (line[0] == '-' || line[0] == '?') && (line[1] == ' ' || line[1] == '\t'):
			n++
			line = line[2:]
		default:
			return n
		}
	}
	return n
}
