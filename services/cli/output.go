package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// show prints a message as --output says; asTable makes its table.
func (a *app) show(m proto.Message, asTable func() *table) error {
	if a.output == "table" {
		return a.print(asTable())
	}
	raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(m)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return a.showJSON(raw)
}

// showJSON prints JSON, indented, or as YAML.
func (a *app) showJSON(raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	b.WriteByte('\n')
	if a.output == "yaml" {
		y, err := yaml.JSONToYAML(b.Bytes())
		if err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		b.Reset()
		b.Write(y)
	}
	_, err := a.Out.Write(b.Bytes())
	return err
}

// showLine prints a message of a stream: a JSON object a line, or a YAML document.
func (a *app) showLine(m proto.Message) error {
	raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(m)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if a.output == "yaml" {
		if _, err := fmt.Fprintln(a.Out, "---"); err != nil {
			return err
		}
		return a.showJSON(raw)
	}
	_, err = fmt.Fprintln(a.Out, compact(raw))
	return err
}

// say prints a line for people; with -o json or yaml nothing, so that the output stays one document.
func (a *app) say(format string, args ...any) {
	if a.output == "table" {
		_, _ = fmt.Fprintln(a.Out, clean(fmt.Sprintf(format, args...)))
	}
}

// showFields prints a message; as a table, one line for each field that is set.
func (a *app) showFields(m proto.Message) error {
	return a.show(m, func() *table {
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
