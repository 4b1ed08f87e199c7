package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/outbound-events/outbound/pkg/yamlstream"
)

// Source is where options come from: the file first, then the environment over it.
type Source struct {
	// File in YAML or JSON. Empty: none.
	File string
	// Env holds lines as of os.Environ. An option's variable is OUTBOUND_ and its path in upper case: nats.passwordFile is
	// OUTBOUND_NATS_PASSWORD_FILE. Lists are separated by commas.
	Env []string
}

// Load fills dst, a pointer to a struct that holds the defaults and whose fields have yaml tags, from a file and the
// environment, and then asks its Validate() error if there is one. Nothing unknown is passed over. The error is a *UsageError
// and holds every fault found, with file, line, path and remedy.
func Load(dst any, s Source) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("load options into %T: want a pointer to a struct", dst)
	}
	l := &loader{file: s.File}
	if s.File != "" {
		l.loadFile(v.Elem())
	}
	l.loadEnv(v.Elem(), s.Env)
	if len(l.faults) == 0 {
		if x, ok := dst.(interface{ Validate() error }); ok {
			l.faults.Within("", x.Validate())
		}
	}
	if err := l.faults.Err(); err != nil {
		return &UsageError{Err: err}
	}
	return nil
}

type loader struct {
	file   string
	faults Faults
}

func (l *loader) fault(line int, path, format string, args ...any) {
	where := l.file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", l.file, line)
	}
	l.faults = append(l.faults, Fault{Where: where, Path: path, Problem: fmt.Sprintf(format, args...)})
}

func (l *loader) loadFile(dst reflect.Value) {
	content, err := os.ReadFile(l.file)
	if err != nil {
		l.faults.Add("", "read the options file: %s", err)
		return
	}
	if json.Valid(content) {
		// JSON is YAML but for its tabs, which stand between tokens alone.
		content = bytes.ReplaceAll(content, []byte("\t"), []byte(" "))
	}
	if at, deep := yamlstream.TooDeep(content); deep {
		l.fault(at, "", "is nested deeper than %d levels", yamlstream.MaxDepth)
		return
	}
	docs := yamlstream.Split(content)
	if len(docs) > 1 {
		begin := len(docs[1]) - len(bytes.TrimLeft(docs[1], "\n"))
		l.fault(begin+1, "", "an options file must hold one document")
		return
	}
	for _, doc := range docs {
		parsed, err := parser.ParseBytes(doc, 0)
		if err != nil {
			l.syntax(err)
			return
		}
		for _, d := range parsed.Docs {
			if d.Body != nil {
				l.decode(d.Body, "", dst)
			}
		}
	}
}

// syntax returns where a file is not valid YAML.
func (l *loader) syntax(err error) {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		p := e.GetToken().Position
		l.fault(p.Line, "", "column %d: not YAML: %s", p.Column, e.GetMessage())
		return
	}
	l.fault(0, "", "not YAML: %s", err)
}

// decode puts a node into dst; what is wrong becomes a fault.
func (l *loader) decode(n ast.Node, path string, dst reflect.Value) {
	switch n := n.(type) {
	case *ast.DirectiveNode:
		// %YAML names the version, which changes nothing here.
	case *ast.NullNode:
		// A key without a value leaves the default, so that a section may be emptied by commenting its lines out.
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		l.fault(line(n), path, "anchors, aliases and tags are not supported: write the value")
	case ast.MapNode:
		l.decodeMap(n, line(n.(ast.Node)), path, dst)
	case *ast.SequenceNode:
		l.decodeList(n, path, dst)
	default:
		text, ok := scalar(n)
		if !ok || isSection(dst.Type()) || isList(dst.Type()) || dst.Kind() == reflect.Map {
			l.fault(line(n), path, "want %s", describe(dst.Type()))
			return
		}
		if err := setText(dst, text); err != nil {
			l.fault(line(n), path, "%s", err)
		}
	}
}

func (l *loader) decodeMap(n ast.MapNode, at int, path string, dst reflect.Value) {
	switch {
	case isSection(dst.Type()):
		known := sectionFields(allocated(dst))
		for it := n.MapRange(); it.Next(); {
			key := keyOf(it.Key())
			f, ok := known[key]
			if !ok {
				l.fault(line(it.Key()), join(path, key), "unknown option: %s", remedy(key, keys(known)))
				continue
			}
			l.decode(it.Value(), join(path, key), f)
		}
	case dst.Kind() == reflect.Map && dst.Type().Key().Kind() == reflect.String:
		m := reflect.MakeMap(dst.Type())
		for it := n.MapRange(); it.Next(); {
			key := keyOf(it.Key())
			value := reflect.New(dst.Type().Elem()).Elem()
			l.decode(it.Value(), join(path, key), value)
			m.SetMapIndex(reflect.ValueOf(key).Convert(dst.Type().Key()), value)
		}
		dst.Set(m)
	default:
		l.fault(at, path, "want %s, not a section of options", describe(dst.Type()))
	}
}

// keyOf is a key as it is meant, in quotes or not.
func keyOf(n ast.MapKeyNode) string {
	if text, ok := scalar(n); ok {
		return text
	}
	return n.String()
}

func (l *loader) decodeList(n *ast.SequenceNode, path string, dst reflect.Value) {
	if !isList(dst.Type()) {
		l.fault(line(n), path, "want %s, not a list", describe(dst.Type()))
		return
	}
	list := reflect.MakeSlice(dst.Type(), len(n.Values), len(n.Values))
	for i, x := range n.Values {
		l.decode(x, fmt.Sprintf("%s[%d]", path, i), list.Index(i))
	}
	dst.Set(list)
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// scalar is the text of a single value as it was written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}
