package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// Spot is a place where channels may be told apart: a file, or packages as a pattern.
type Spot struct{ Place, Why string }

// Branches checks that code outside the spots, tests aside, does not ask which channel it has to do with. These are branches: the
// comparison of a channel's field or getter with nil, also in the head of an `if`, the type of a channel's field, and its name as text.
func (h *Graph) Branches(of []string, spots []Spot) (out []Breach) {
	for _, f := range h.Files {
		if f.Test || f.Generated || !in(f.Package, of) ||
			slices.ContainsFunc(spots, func(s Spot) bool { return s.Place == f.Path || in(f.Package, []string{s.Place}) }) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if what := branch(n); what != "" {
				out = append(out, Breach{h.where(f, n.Pos()), "branches on a channel: " + what,
					"the core asks recipient.Descriptor, which pkg/recipient/channel.go has for each channel, or the Target"})
			}
			return true
		})
	}
	return out
}

// branch returns how a node tells channels apart, or nothing.
func branch(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op != token.EQL && n.Op != token.NEQ {
			return ""
		}
		return compared(n.X, n.Y) + compared(n.Y, n.X)
	case *ast.IfStmt:
		if a, ok := n.Init.(*ast.AssignStmt); ok && len(a.Rhs) == 1 {
			return channelField(a.Rhs[0])
		}
	case *ast.TypeAssertExpr:
		if n.Type != nil {
			return channelType(n.Type)
		}
	case *ast.CaseClause:
		for _, x := range n.List {
			if what := channelType(x) + channelText(x); what != "" {
				return what
			}
		}
	}
	return ""
}

// compared returns how the comparison of a value with another tells channels apart.
func compared(value, other ast.Expr) string {
	if x, ok := other.(*ast.Ident); ok && x.Name == "nil" {
		return channelField(value)
	}
	return channelText(value)
}

// channelField returns the field or getter of a channel that an expression reads.
func channelField(x ast.Expr) string {
	name := ""
	switch x := x.(type) {
	case *ast.SelectorExpr:
		name = x.Sel.Name
	case *ast.CallExpr:
		if fn, ok := x.Fun.(*ast.SelectorExpr); ok && len(x.Args) == 0 {
			name = fn.Sel.Name
		}
	}
	if slices.Contains([]string{"Email", "HTTP", "Http", "GetEmail", "GetHttp"}, name) {
		return name
	}
	return ""
}

// channelType returns the type of a channel's field of a oneof, or of its target.
func channelType(x ast.Expr) string {
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	name := ""
	switch x := x.(type) {
	case *ast.SelectorExpr:
		name = x.Sel.Name
	case *ast.Ident:
		name = x.Name
	}
	if strings.HasSuffix(name, "_Http") || strings.HasSuffix(name, "_Email") || name == "HTTPTarget" || name == "EmailTarget" {
		return name
	}
	return ""
}

// channelText returns the name of a channel as text. That of HTTP is also a scheme of URLs, so code that tells both by it is found by
// the other name.
func channelText(x ast.Expr) string {
	if lit, ok := x.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if text, err := strconv.Unquote(lit.Value); err == nil && text == "email" {
			return lit.Value
		}
	}
	return ""
}
