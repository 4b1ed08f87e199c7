package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
)

// Sizes checks that no file is longer than file lines and no function longer than function lines. Generated files are not
// read by people and not counted; a table of cases inside a function counts as one line.
func (h *Graph) Sizes(file, function int) []Breach {
	var out []Breach
	for _, f := range h.Files {
		if f.Generated {
			continue
		}
		if f.Lines > file {
			out = append(out, Breach{f.Path, fmt.Sprintf("has %d lines", f.Lines), fmt.Sprintf("a file has at most %d", file)})
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := h.length(fn); n > function {
				out = append(out, Breach{h.where(f, fn.Pos()), fmt.Sprintf("%s has %d lines", fn.Name.Name, n),
					fmt.Sprintf("a function has at most %d", function)})
			}
		}
	}
	return out
}

// length is the lines of a function, its tables counted as one line each.
func (h *Graph) length(fn *ast.FuncDecl) int {
	n := h.lines(fn)
	ast.Inspect(fn.Body, func(x ast.Node) bool {
		table, ok := x.(*ast.CompositeLit)
		if !ok || !isTable(table) {
			return true
		}
		n -= h.lines(table) - 1
		return false
	})
	return n
}

func (h *Graph) lines(n ast.Node) int {
	return h.fset.Position(n.End()).Line - h.fset.Position(n.Pos()).Line + 1
}

// isTable reports whether a literal is a slice, an array or a map.
func isTable(c *ast.CompositeLit) bool {
	switch c.Type.(type) {
	case *ast.ArrayType, *ast.MapType:
		return true
	}
	return false
}

// Names checks that no package is called by one of the words that say nothing, that there is no init, and that tests look at
// their package from outside; what they must see of the inside is listed in its export_test.go.
func (h *Graph) Names(empty []string) []Breach {
	var out []Breach
	for _, f := range h.Files {
		name := f.AST.Name.Name
		for _, w := range empty {
			if strings.TrimSuffix(name, "_test") == w {
				out = append(out, Breach{f.Path, "is in package " + name, "a package is one noun that says what it gives"})
			}
		}
		if f.Test && !strings.HasSuffix(name, "_test") && path.Base(f.Path) != "export_test.go" {
			out = append(out, Breach{f.Path, "is in package " + name, "tests see their package from outside: package " + name + "_test"})
		}
		if f.Generated {
			continue
		}
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, Breach{h.where(f, fn.Pos()), "declares init", "nothing happens by being imported"})
			}
		}
	}
	return out
}

// Sleeps checks that tests do not wait by sleeping, but in a bubble of testing/synctest, where time is not real.
func (h *Graph) Sleeps() []Breach {
	var out []Breach
	for _, f := range h.Files {
		if !f.Test || in("testing/synctest", f.Imports) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if does(n, Act{Call: "time.Sleep"}) {
				out = append(out, Breach{h.where(f, n.Pos()), "sleeps", "a test waits for a fact, or uses testing/synctest"})
			}
			return true
		})
	}
	return out
}

// Wait is a call by which a test would say how long something may take.
type Wait struct {
	Call string
	// Files may make it all the same: what it bounds is not how fast the machine is.
	Files []string
	Why   string
}

// Waits checks that tests do not say how long something may take, which would be a bet on the machine. What imports testing/synctest
// is left out: there, time is not real. Packages hold test support, which is bound like tests.
func (h *Graph) Waits(waits []Wait, packages []string) []Breach {
	var out []Breach
	for _, f := range h.Files {
		if !f.Test && !in(f.Package, packages) || in("testing/synctest", f.Imports) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			for _, w := range waits {
				if does(n, Act{Call: w.Call}) && !in(f.Path, w.Files) && !in(f.Package, w.Files) {
					out = append(out, Breach{h.where(f, n.Pos()), "waits by " + w.Call, w.Why})
				}
			}
			return true
		})
	}
	return out
}

// Panics checks that production code does not panic: panic may be called by tests, testSupport packages and the files in allowed.
func (h *Graph) Panics(allowed []string) []Breach {
	var out []Breach
	for _, f := range h.Files {
		if f.Test || f.Generated || in(f.Package, allowed) || in(f.Path, allowed) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
				out = append(out, Breach{h.where(f, n.Pos()), "panics",
					"an error is returned; a provably impossible state is listed in the table with its proof"})
			}
			return true
		})
	}
	return out
}
