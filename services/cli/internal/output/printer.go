// Package output prints results as tables, JSON or YAML, and progress.
package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// Printer prints results as --output says.
type Printer struct {
	// Out gets results, Err progress and notes.
	Out, Err io.Writer
	// Terminal says whether Err is a terminal, where progress can be drawn.
	Terminal bool
	// Color colours what means something in tables, Relative shows the times in them as how long ago they were: for people at a
	// terminal. Without it tables can be searched and compared.
	Color, Relative bool
	// Format is table, json or yaml.
	Format string
}

// CheckFormat refuses an unknown format.
func (p *Printer) CheckFormat() error {
	if p.Format != "table" && p.Format != "json" && p.Format != "yaml" {
		return exit.Usagef("-o %q is not a format: use table, json or yaml", p.Format)
	}
	return nil
}

// Structured reports whether the output is JSON or YAML, and not text for people.
func (p *Printer) Structured() bool { return p.Format != "table" }

// Show prints a message as --output says; asTable makes its table.
func (p *Printer) Show(m proto.Message, asTable func() *Table) error {
	if !p.Structured() {
		return p.Print(asTable())
	}
	raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(m)
	if err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return p.ShowJSON(raw)
}

// ShowJSON prints JSON, indented, or as YAML.
func (p *Printer) ShowJSON(raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	b.WriteByte('\n')
	out := escapeJSON(b.Bytes())
	if p.Format == "yaml" {
		var v any
		err := yaml.UnmarshalWithOptions(b.Bytes(), &v, yaml.UseOrderedMap())
		if err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
		if out, err = YAML(v); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
	}
	_, err := p.Out.Write(out)
	return err
}

// ShowLine prints a message of a stream: a JSON object a line, or a YAML document.
func (p *Printer) ShowLine(m proto.Message) error {
	raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(m)
	if err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	if p.Format == "yaml" {
		if _, err := fmt.Fprintln(p.Out, "---"); err != nil {
			return err
		}
		return p.ShowJSON(raw)
	}
	_, err = p.Out.Write(append(escapeJSON([]byte(Compact(raw))), '\n'))
	return err
}

// Say prints a line. With -o json or yaml it prints nothing, so that the output stays one document.
func (p *Printer) Say(format string, args ...any) {
	if !p.Structured() {
		_, _ = fmt.Fprintln(p.Out, Clean(fmt.Sprintf(format, args...)))
	}
}

// ShowFields prints a message; as a table, one line for each field that is set.
func (p *Printer) ShowFields(m proto.Message) error {
	return p.Show(m, func() *Table {
		raw, err := protojson.Marshal(m)
		if err != nil {
			return &Table{Rows: [][]string{{err.Error()}}}
		}
		var v any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			return &Table{Rows: [][]string{{err.Error()}}}
		}
		t := &Table{Head: []string{"FIELD", "VALUE"}}
		flatten(t, "", v, m.ProtoReflect().Descriptor())
		return t
	})
}

// flatten adds a line for each value. md is the message that v is, or that its elements are; nil for none.
func flatten(t *Table, path string, v any, md protoreflect.MessageDescriptor) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			flatten(t, strings.TrimPrefix(path+"."+key, "."), v[key], messageOf(md, key))
		}
	case []any:
		for i, x := range v {
			flatten(t, path+"["+strconv.Itoa(i)+"]", x, md)
		}
	default:
		if text, ok := v.(string); ok && md != nil && md.FullName() == "google.protobuf.Duration" {
			// protojson writes seconds.
			if d, err := time.ParseDuration(text); err == nil {
				v = Duration(d)
			}
		}
		t.Add(path, Short(fmt.Sprint(v)))
	}
}

// messageOf is the message of a field, by its JSON name; nil if it has none.
func messageOf(md protoreflect.MessageDescriptor, name string) protoreflect.MessageDescriptor {
	if md == nil {
		return nil
	}
	if fd := md.Fields().ByJSONName(name); fd != nil && !fd.IsMap() {
		return fd.Message()
	}
	return nil
}
