package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// Row is one line of the import law: packages in From may not import packages in To, but for those in But.
// Patterns are paths from the root, or import paths of others; `/...` takes in what lies below.
type Row struct {
	From []string
	To   []string
	But  []string
	// Free are packages in From that the row does not bind.
	Free []string
	// Tests says whether the row also binds _test.go files.
	Tests bool
	Why   string
}

// Vendor is one vendor's library and the only packages that may import it.
type Vendor struct {
	Vendor   string
	Packages []string
	Why      string
}

// Imports checks the rows.
func (h *Graph) Imports(rows []Row) []Breach {
	var out []Breach
	for _, f := range h.Files {
		for _, row := range rows {
			if f.Test && !row.Tests || !in(f.Package, row.From) || in(f.Package, row.Free) {
				continue
			}
			for _, i := range f.Imports {
				if i != f.Package && in(i, row.To) && !in(i, row.But) {
					out = append(out, Breach{f.Path, "imports " + i, row.Why})
				}
			}
		}
	}
	return out
}

// Vendors checks that each library of others has a row, and that no file goes round it. Tests may use what a vendor or a
// testSupport offers, and are bound by the list all the same: a library without a row is a breach anywhere.
func (h *Graph) Vendors(adapters []Vendor) []Breach {
	var out []Breach
	for _, f := range h.Files {
		for _, i := range f.Imports {
			if !strings.Contains(strings.SplitN(i, "/", 2)[0], ".") || ours(i) {
				continue
			}
			vendor, known := vendorOf(i, adapters)
			switch {
			case !known:
				out = append(out, Breach{f.Path, "imports " + i, "a library without a row: name its package and what it replaces in the table"})
			case !f.Test && !in(f.Package, vendor.Packages):
				out = append(out, Breach{f.Path, "imports " + i, vendor.Why})
			}
		}
	}
	return out
}

// vendorOf is the row with the longest vendor path that i lies under.
func vendorOf(i string, adapters []Vendor) (Vendor, bool) {
	best, found := Vendor{}, false
	for _, d := range adapters {
		if (i == d.Vendor || strings.HasPrefix(i, d.Vendor+"/")) && len(d.Vendor) > len(best.Vendor) {
			best, found = d, true
		}
	}
	return best, found
}

// ours reports whether an import, as File holds it, is of this repository. Load has cut the module from ours.
func ours(i string) bool { return strings.HasPrefix(i, Module) }

// Services checks that services do not import each other, but for the packages in joiners. A service is a folder under services/.
func (h *Graph) Services(joiners []string) []Breach {
	var out []Breach
	for _, f := range h.Files {
		own, ok := serviceOf(f.Package)
		if !ok || in(f.Package, joiners) {
			continue
		}
		for _, i := range f.Imports {
			if other, is := serviceOf(i); is && other != own {
				out = append(out, Breach{f.Path, "imports " + i, "services do not import each other: what two of them need is a package of pkg"})
			}
		}
	}
	return out
}

func serviceOf(pkg string) (string, bool) {
	rest, ok := strings.CutPrefix(pkg, "services/")
	if !ok || rest == "cmd" || strings.HasPrefix(rest, "cmd/") {
		return "", false
	}
	name, _, _ := strings.Cut(rest, "/")
	return name, true
}

// Act is a privileged act and its only address.
type Act struct {
	// Call is a qualified function, e.g. os.Exit, or with a leading dot any method of that name, e.g. .NakWithDelay.
	Call string
	// Literal is what a string literal may not begin with elsewhere.
	Literal string
	// Files are its addresses: files, or packages as patterns.
	Files []string
	Why   string
}

// Acts checks the privileged acts outside tests.
func (h *Graph) Acts(acts []Act) []Breach {
	var out []Breach
	for _, f := range h.Files {
		if f.Test || f.Generated {
			continue
		}
		var bound []Act
		for _, a := range acts {
			if !slices.Contains(a.Files, f.Path) && !in(f.Package, a.Files) {
				bound = append(bound, a)
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			for _, a := range bound {
				if does(n, a) {
					out = append(out, Breach{h.where(f, n.Pos()), "does " + a.Call + a.Literal, a.Why})
				}
			}
			return true
		})
	}
	return out
}

func does(n ast.Node, a Act) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if a.Call == "."+n.Sel.Name {
			return true
		}
		pkg, ok := n.X.(*ast.Ident)
		return ok && a.Call == pkg.Name+"."+n.Sel.Name
	case *ast.BasicLit:
		text, err := strconv.Unquote(n.Value)
		return a.Literal != "" && n.Kind == token.STRING && err == nil && strings.HasPrefix(text, a.Literal)
	}
	return false
}
