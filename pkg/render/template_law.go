package render

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// BodyFunctions are the names that a template may call: ours, then those of Go that compare and look up.
func BodyFunctions() []string {
	return append([]string{"cut", "date", "default", "header", "json", "jsontext", "lines", "lower", "replace", "upper", "urlquery"},
		"and", "eq", "ge", "gt", "index", "le", "len", "lt", "ne", "not", "or")
}

// restrict refuses what could make a rendering endless, huge or different from one time to the next. Where a fault is costs a look through
// the whole text, so it is asked for once.
func restrict(tree *parse.Tree, root parse.Node) error {
	allowed := BodyFunctions()
	var faulty parse.Node
	walk(root, func(n parse.Node) {
		switch n := n.(type) {
		case *parse.TemplateNode:
			faulty = n
		case *parse.IdentifierNode:
			if !slices.Contains(allowed, n.Ident) {
				faulty = n
			}
		}
	})
	if faulty == nil {
		return nil
	}
	at, _ := tree.ErrorContext(faulty)
	if n, ok := faulty.(*parse.IdentifierNode); ok {
		return fmt.Errorf("%s: the function %s is not supported: use %s", at, n.Ident, strings.Join(allowed, ", "))
	}
	return fmt.Errorf("%s: template is not supported: write one template", at)
}

// meter puts a call at the beginning of each loop's body that counts the work and ends a rendering that makes too much.
func meter(tree *parse.Tree, root parse.Node) error {
	var loops []*parse.RangeNode
	walk(root, func(n parse.Node) {
		if loop, ok := n.(*parse.RangeNode); ok && loop.List != nil {
			loops = append(loops, loop)
		}
	})
	sizes := map[*parse.ListNode]int{}
	countNodes(root, sizes)
	for _, loop := range loops {
		step, err := parse.Parse(tree.Name, "{{step "+strconv.Itoa(sizes[loop.List])+"}}", "", "", map[string]any{"step": (&rendering{}).step})
		if err != nil {
			return fmt.Errorf("count the steps of a loop: %w", err)
		}
		loop.List.Nodes = append(step[tree.Name].Root.Nodes, loop.List.Nodes...)
	}
	return nil
}

// countNodes counts the nodes of n, itself included, and notes those of each list.
func countNodes(n parse.Node, lists map[*parse.ListNode]int) int {
	sum := 1
	for _, x := range below(n) {
		if !absent(x) {
			sum += countNodes(x, lists)
		}
	}
	if l, ok := n.(*parse.ListNode); ok {
		lists[l] = sum
	}
	return sum
}

func absent(n parse.Node) bool { return n == nil || reflect.ValueOf(n).IsNil() }

// walk calls f for a node and all below it, inner nodes after outer ones.
func walk(n parse.Node, f func(parse.Node)) {
	if absent(n) {
		return
	}
	f(n)
	for _, x := range below(n) {
		walk(x, f)
	}
}

// below are the nodes directly below one. Some may be nil.
func below(n parse.Node) []parse.Node {
	branch := func(b *parse.BranchNode) []parse.Node { return []parse.Node{b.Pipe, b.List, b.ElseList} }
	switch n := n.(type) {
	case *parse.ListNode:
		return n.Nodes
	case *parse.ActionNode:
		return []parse.Node{n.Pipe}
	case *parse.PipeNode:
		out := make([]parse.Node, len(n.Cmds))
		for i, x := range n.Cmds {
			out[i] = x
		}
		return out
	case *parse.CommandNode:
		return n.Args
	case *parse.ChainNode:
		return []parse.Node{n.Node}
	case *parse.IfNode:
		return branch(&n.BranchNode)
	case *parse.WithNode:
		return branch(&n.BranchNode)
	case *parse.RangeNode:
		return branch(&n.BranchNode)
	case *parse.TemplateNode:
		return []parse.Node{n.Pipe}
	default:
		return nil
	}
}
