// Package archtest reads the source of the whole module graph and checks it against the import law: who may import whom, which
// act has which address, how long files and functions may be. It is for tests alone.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is what every import path of ours begins with.
const Module = "github.com/outbound-events/outbound/"

// Graph is the parsed source of all modules.
type Graph struct {
	Files []*File
	fset  *token.FileSet
}

// File is one Go file.
type File struct {
	// Path from the root, with slashes, e.g. pkg/bus/conn.go.
	Path string
	// Package is its folder, e.g. pkg/bus.
	Package string
	// Test says whether it is a _test.go file, Generated whether a program wrote it.
	Test, Generated bool
	// Imports are its import paths; ours without the module, e.g. pkg/event.
	Imports []string
	// Lines is how many lines it has, Long the numbers of those that have more than MaxColumns.
	Lines int
	Long  []int
	// AST is the parsed file.
	AST *ast.File
}

// Breach is one place that breaks the law.
type Breach struct {
	Where string
	What  string
	Why   string
}

// String is the breach as one line.
func (b Breach) String() string { return fmt.Sprintf("%s: %s: %s", b.Where, b.What, b.Why) }

// Root is the folder that holds go.work, looked for from the working directory upward.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("look up the working directory: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("look for go.work from the working directory upward: there is none")
		}
		dir = up
	}
}

// Load parses every Go file of the named modules under root.
func Load(root string, modules ...string) (*Graph, error) {
	h := &Graph{fset: token.NewFileSet()}
	for _, module := range modules {
		err := filepath.WalkDir(filepath.Join(root, module), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				return enter(d.Name())
			}
			if !strings.HasSuffix(p, ".go") {
				return nil
			}
			return h.add(root, p)
		})
		if err != nil {
			return nil, fmt.Errorf("read module %s: %w", module, err)
		}
	}
	return h, nil
}

// enter keeps out of the folders that the go command ignores.
func enter(name string) error {
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return filepath.SkipDir
	}
	return nil
}

func (h *Graph) add(root, p string) error {
	src, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(h.fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse %s: %w", p, err)
	}
	rel, err := filepath.Rel(root, p)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	f := &File{
		Path: rel, Package: path.Dir(rel), Test: strings.HasSuffix(rel, "_test.go"), Generated: ast.IsGenerated(parsed),
		Lines: bytes.Count(src, []byte("\n")), Long: long(src), AST: parsed,
	}
	for _, i := range parsed.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return fmt.Errorf("read an import of %s: %w", rel, err)
		}
		f.Imports = append(f.Imports, strings.TrimPrefix(name, Module))
	}
	h.Files = append(h.Files, f)
	return nil
}

// where is a place in a file, by line.
func (h *Graph) where(f *File, pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.Path, h.fset.Position(pos).Line)
}

// in reports whether name lies under one of the patterns: `pkg/bus` is that package alone, `pkg/bus/...` it and all below.
func in(name string, patterns []string) bool {
	for _, p := range patterns {
		below, tree := strings.CutSuffix(p, "/...")
		if name == below || tree && strings.HasPrefix(name, below+"/") {
			return true
		}
	}
	return false
}
