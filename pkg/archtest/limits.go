package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxColumns is how many columns a line may have, a tab being one.
const MaxColumns = 140

// long are the numbers of the lines that are too long.
func long(src []byte) (out []int) {
	n := 0
	for line := range bytes.Lines(src) {
		n++
		if utf8.RuneCount(bytes.TrimRight(line, "\n")) > MaxColumns {
			out = append(out, n)
		}
	}
	return out
}

// Columns checks that lines are not too long. Lines of raw strings are left out: to break one is to change it.
func (h *Graph) Columns() (out []Breach) {
	for _, f := range h.Files {
		if f.Generated || len(f.Long) == 0 {
			continue
		}
		raw := h.rawLines(f)
		lines := slices.DeleteFunc(slices.Clone(f.Long), func(n int) bool { return raw[n] })
		if len(lines) > 0 {
			out = append(out, Breach{f.Path, fmt.Sprintf("lines %v are too long", lines), fmt.Sprintf("a line has at most %d columns", MaxColumns)})
		}
	}
	return out
}

// rawLines are the lines on which a file has raw strings.
func (h *Graph) rawLines(f *File) map[int]bool {
	out := map[int]bool{}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING && s.Value[0] == '`' {
			for l := h.fset.Position(s.Pos()).Line; l <= h.fset.Position(s.End()).Line; l++ {
				out[l] = true
			}
		}
		return true
	})
	return out
}

// Limits bound what a package holds, its tests aside.
type Limits struct {
	// Files and Names are how many files and exported names a package may have, Methods how many methods a type.
	Files, Names, Methods int
}

// extent is what a package holds.
type extent struct {
	files, names int
	methods      map[string]int
}

// Packages checks the limits of each package under one of the patterns. Generated packages are left out.
func (h *Graph) Packages(of []string, l Limits) (out []Breach) {
	all := map[string]*extent{}
	for _, f := range h.Files {
		if f.Test || f.Generated || !in(f.Package, of) {
			continue
		}
		if all[f.Package] == nil {
			all[f.Package] = &extent{methods: map[string]int{}}
		}
		all[f.Package].add(f.AST)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x := all[name]
		if x.files > l.Files {
			out = append(out, Breach{name, fmt.Sprintf("has %d files", x.files), fmt.Sprintf("a package has at most %d", l.Files)})
		}
		if x.names > l.Names {
			out = append(out, Breach{name, fmt.Sprintf("exports %d names", x.names), fmt.Sprintf("a package exports at most %d", l.Names)})
		}
		for _, t := range slices.Sorted(maps.Keys(x.methods)) {
			if n := x.methods[t]; n > l.Methods {
				out = append(out, Breach{name, fmt.Sprintf("%s has %d methods", t, n), fmt.Sprintf("a type has at most %d", l.Methods)})
			}
		}
	}
	return out
}

func (x *extent) add(f *ast.File) {
	x.files++
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil {
				x.methods[receiver(d)]++
			} else if d.Name.IsExported() {
				x.names++
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				x.names += exported(s)
			}
		}
	}
}

// receiver is the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	switch x := t.(type) {
	case *ast.IndexExpr:
		t = x.X
	case *ast.IndexListExpr:
		t = x.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// exported is how many exported names a declaration makes.
func exported(s ast.Spec) (n int) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			n++
		}
	case *ast.ValueSpec:
		for _, id := range s.Names {
			if id.IsExported() {
				n++
			}
		}
	}
	return n
}

// Kinds checks that each package that lies under one of the patterns of `of` is of exactly one kind. The kinds are lists of patterns.
func (h *Graph) Kinds(of []string, kinds map[string][]string) (out []Breach) {
	seen := map[string]bool{}
	for _, f := range h.Files {
		if seen[f.Package] || !in(f.Package, of) {
			continue
		}
		seen[f.Package] = true
		var is []string
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			if in(f.Package, kinds[kind]) {
				is = append(is, kind)
			}
		}
		if len(is) != 1 {
			out = append(out, Breach{f.Package, fmt.Sprintf("is of the kinds %q", is), "a package is of exactly one kind"})
		}
	}
	return out
}

// Exist checks that each of our packages that a law names is there: a pattern that binds nothing is a mistake.
func Exist(root string, patterns ...[]string) (out []Breach) {
	for _, p := range slices.Concat(patterns...) {
		name := strings.TrimSuffix(p, "/...")
		top, _, _ := strings.Cut(name, "/")
		if !slices.Contains([]string{"proto", "pkg", "services", "e2e"}, top) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			out = append(out, Breach{p, "does not exist", "a law names packages and files that are there"})
		}
	}
	return out
}

// Inward checks that nothing below a package imports it: what it is made of does not know the whole. Packages in but may be imported
// by what lies below them.
func (h *Graph) Inward(but []string) (out []Breach) {
	for _, f := range h.Files {
		if f.Test {
			continue
		}
		for _, i := range f.Imports {
			if strings.HasPrefix(f.Package, i+"/") && !in(i, but) {
				out = append(out, Breach{f.Path, "imports " + i, "a package does not import the one that it is a part of"})
			}
		}
	}
	return out
}
