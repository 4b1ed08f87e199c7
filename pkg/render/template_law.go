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
	return append([]string{"date", "default", "json", "lower", "upper", "urlquery"},
		"and", "eq", "ge", "gt", "index", "le", "len", "lt", "ne", "not", "or")
}

// restrict refuses what could make a rendering endless, huge or different from one time to the next.
func restrict(tree *parse.Tree, root parse.Node) error {
	allowed := BodyFunctions()
	var fault error
	walk(root, func(n parse.Node) {
		at, _ := tree.ErrorContext(n)
		switch n := n.(type) {
		case *parse.TemplateNode:
			fault = fmt.Errorf("%s: template is not supported: write one template", at)
		case *parse.IdentifierNode:
			if !slices.Contains(allowed, n.Ident) {
				fault = fmt.Errorf("%s: the function %s is not supported: use %s", at, n.Ident, strings.Join(allowed, ", "))
			}
		}
	})
	return fault
}

// meter puts a call at the beginning of each loop's body that counts the work and ends a rendering that makes too much.
func meter(tree *parse.Tree, root parse.Node) error {
	var fault error
	walk(root, func(n parse.Node) {
		loop, ok := n.(*parse.RangeNode)
		if !ok || loop.List == nil {
			return
		}
		size := 0
		walk(loop.List, func(parse.Node) { size++ })
		step, err := parse.Parse(tree.Name, "{{step "+strconv.Itoa(size)+"}}", "", "", map[string]any{"step": (&rendering{}).step})
		if err != nil {
			fault = fmt.Errorf("count the steps of a loop: %w", err)
			return
		}
		loop.List.Nodes = append(step[tree.Name].Root.Nodes, loop.List.Nodes...)
	})
	return fault
}

// walk calls f for a node and all below it, inner nodes after outer ones.
func walk(n parse.Node, f func(parse.Node)) {
	if n == nil || reflect.ValueOf(n).IsNil() {
		return
	}
	f(n)
	branch := func(b *parse.BranchNode) {
		walk(b.Pipe, f)
		walk(b.List, f)
		walk(b.ElseList, f)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, x := range n.Nodes {
			walk(x, f)
		}
	case *parse.ActionNode:
		walk(n.Pipe, f)
	case *parse.PipeNode:
		for _, x := range n.Cmds {
			walk(x, f)
		}
	case *parse.CommandNode:
		for _, x := range n.Args {
			walk(x, f)
		}
	case *parse.ChainNode:
		walk(n.Node, f)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.TemplateNode:
		walk(n.Pipe, f)
	}
}
