package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// printer prints results as --output says.
type printer struct {
	// Out gets results, Err progress and notes.
	Out, Err io.Writer
	// Terminal says whether Err is a terminal, where progress can be drawn.
	Terminal bool
	// Format is table, json or yaml.
	Format string
}

// checkFormat refuses an unknown format.
func (p *printer) checkFormat() error {
	if p.Format != "table" && p.Format != "json" && p.Format != "yaml" {
		return usage("-o is table, json or yaml, not %q", p.Format)
	}
	return nil
}

// structured reports whether the output is JSON or YAML, and not text for people.
func (p *printer) structured() bool { return p.Format != "table" }

// show prints a message as --output says; asTable makes its table.
func (p *printer) show(m proto.Message, asTable func() *table) error {
	if !p.structured() {
		return p.print(asTable())
	}
	raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(m)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return p.showJSON(raw)
}

// showJSON prints JSON, indented, or as YAML.
func (p *printer) showJSON(raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	b.WriteByte('\n')
	if p.Format == "yaml" {
		y, err := yaml.JSONToYAML(b.Bytes())
		if err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		b.Reset()
		b.Write(y)
	}
	_, err := p.Out.Write(b.Bytes())
	return err
}

// showLine prints a message of a stream: a JSON object a line, or a YAML document.
func (p *printer) showLine(m proto.Message) error {
	raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(m)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if p.Format == "yaml" {
		if _, err := fmt.Fprintln(p.Out, "---"); err != nil {
			return err
		}
		return p.showJSON(raw)
	}
	_, err = fmt.Fprintln(p.Out, compact(raw))
	return err
}

// say prints a line for people; with -o json or yaml nothing, so that the output stays one document.
func (p *printer) say(format string, args ...any) {
	if !p.structured() {
		_, _ = fmt.Fprintln(p.Out, clean(fmt.Sprintf(format, args...)))
	}
}

// showFields prints a message; as a table, one line for each field that is set.
func (p *printer) showFields(m proto.Message) error {
	return p.show(m, func() *table {
		raw, err := protojson.Marshal(m)
		if err != nil {
			return &table{rows: [][]string{{err.Error()}}}
		}
		var v any
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			return &table{rows: [][]string{{err.Error()}}}
		}
		t := &table{head: []string{"FIELD", "VALUE"}}
		flatten(t, "", v)
		return t
	})
}

func flatten(t *table, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			flatten(t, strings.TrimPrefix(path+"."+key, "."), v[key])
		}
	case []any:
		for i, x := range v {
			flatten(t, path+"["+strconv.Itoa(i)+"]", x)
		}
	default:
		t.add(path, short(fmt.Sprint(v)))
	}
}
