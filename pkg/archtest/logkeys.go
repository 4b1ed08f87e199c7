package archtest

import (
	"go/ast"
	"go/token"
	"strings"
)

// LogKeys checks that log lines in packages under one of the patterns have constants as keys.
func (h *Graph) LogKeys(of []string) (out []Breach) {
	for _, f := range h.Files {
		if f.Test || f.Generated || !in(f.Package, of) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, key := range logKeys(call) {
				if isText(key) {
					out = append(out, Breach{h.where(f, key.Pos()), "logs under a literal key", "log keys are in pkg/telemetry and pkg/logkey"})
				}
			}
			return true
		})
	}
	return out
}

// logKeys returns the arguments of a call that are keys if the call writes a log line. A method such as Error of another package has no
// literal message in the place where log/slog has it.
func logKeys(call *ast.CallExpr) (keys []ast.Expr) {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	method, inContext := strings.CutSuffix(fn.Sel.Name, "Context")
	first := 1
	switch method {
	case "Debug", "Info", "Warn", "Error":
		if inContext {
			first = 2
		}
		if len(call.Args) < first || !isText(call.Args[first-1]) {
			return nil
		}
	case "Log":
		first = 3
	case "With":
		first = 0
	default:
		return nil
	}
	for i := first; i < len(call.Args); i += 2 {
		keys = append(keys, call.Args[i])
	}
	return keys
}

// isText reports whether an expression is a string literal, or several joined.
func isText(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return x.Kind == token.STRING
	case *ast.BinaryExpr:
		return isText(x.X) && isText(x.Y)
	}
	return false
}
