package input

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/outbound-events/outbound/pkg/yamlstream"
)

// maxNodes bounds a document once its aliases are replaced by what they stand for. A short document can stand for more than any memory
// holds, with aliases of aliases.
const maxNodes = 1_000_000

// bounded refuses a document that is nested too deep to be parsed, and one whose aliases make it too large. What is not YAML is left to
// who reads it, who has the words for it.
func bounded(doc []byte) error {
	if line, deep := yamlstream.TooDeep(doc); deep {
		return fmt.Errorf("line %d: is nested deeper than %d levels: flatten it", line, yamlstream.MaxDepth)
	}
	parsed, err := parser.ParseBytes(doc, 0)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	s := sizes{anchors: map[string]int{}}
	for _, d := range parsed.Docs {
		if s.of(d.Body) > maxNodes {
			return fmt.Errorf("its aliases stand for more than %d values: write fewer aliases of aliases", maxNodes)
		}
	}
	return nil
}

// sizes knows how many values each anchor stands for.
type sizes struct {
	anchors map[string]int
}

// of is how many values a node stands for, at most a little more than maxNodes.
func (s sizes) of(n ast.Node) int {
	total := 1
	add := func(of ast.Node) { total = min(total+s.of(of), maxNodes+1) }
	switch n := n.(type) {
	case *ast.AnchorNode:
		add(n.Value)
		s.anchors[n.Name.String()] = total
	case *ast.AliasNode:
		total += s.anchors[n.Value.String()]
	case *ast.TagNode:
		add(n.Value)
	case *ast.MappingNode:
		for _, v := range n.Values {
			add(v)
		}
	case *ast.MappingValueNode:
		add(n.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			add(v)
		}
	}
	return total
}
