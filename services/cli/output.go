package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// table is rows of text under a head.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// show prints a message as --output says; asTable makes its table.
func (a *app) show(m proto.Message, asTable func() *table) error {
	if a.output == "table" {
		return a.print(asTable())
	}
	raw, err := (protojson.MarshalOptions{EmitDefaultValues: true}).Marshal(m)
	if err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return a.showJSON(raw)
}

// showJSON prints JSON, indented, or as YAML.
func (a *app) showJSON(raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	b.WriteByte('\n')
	if a.output == "yaml" {
		y, err := yaml.JSONToYAML(b.Bytes())
		if err != nil {
			return fmt.Errorf("write the output: %w", err)
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
		return fmt.Errorf("write the output: %w", err)
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

func (a *app) print(t *table) error {
	var aligned bytes.Buffer
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	if len(t.head) > 0 {
		_, _ = fmt.Fprintln(w, strings.Join(t.head, "\t"))
	}
	for _, row := range t.rows {
		for i, cell := range row {
			row[i] = clean(cell)
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		if _, err := fmt.Fprintln(a.Out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// say prints a line with -o table. With json or yaml it prints nothing, so that the output is one document.
func (a *app) say(format string, args ...any) {
	if a.output == "table" {
		_, _ = fmt.Fprintln(a.Out, clean(fmt.Sprintf(format, args...)))
	}
}

// clean keeps foreign text from steering the terminal or breaking a table.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf)) {
			return '?'
		}
		if r == '\n' {
			return ' '
		}
		return r
	}, s)
}

func clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
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
