package output_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/golden"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func recipient() *outboundv1.Recipient {
	return &outboundv1.Recipient{
		Id: "crm", DisplayName: "CRM", EventTypes: []string{"a", "b"}, Enabled: proto.Bool(false),
		UpdateTime: timestamppb.New(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)),
		Channel: &outboundv1.Recipient_Http{Http: &outboundv1.HttpRecipient{
			Url: "https://crm.example/hook", RetryInterval: durationpb.New(90 * time.Second), CaCertificatePem: strings.Repeat("abc\n", 30),
			Headers: map[string]string{"X-B": "2", "X-A": "1"},
		}},
	}
}

func table() *output.Table {
	t := &output.Table{Head: []string{"ID", "NAME"}}
	t.Add("crm", "CRM\x1b[31m")
	t.Add("a-longer-id", "two\nlines\tand a tab")
	t.Add("last", "")
	return t
}

func TestAMessageIsPrintedAsOutputSays(t *testing.T) {
	for _, format := range []string{"table", "json", "yaml"} {
		for name, print := range map[string]func(*output.Printer) error{
			"show":   func(p *output.Printer) error { return p.Show(recipient(), table) },
			"fields": func(p *output.Printer) error { return p.ShowFields(recipient()) },
		} {
			var out bytes.Buffer
			if err := print(&output.Printer{Out: &out, Format: format}); err != nil {
				t.Errorf("%s as %s: %v", name, format, err)
			}
			golden.Check(t, name+"."+format, out.Bytes())
		}
	}
}

func TestALineOfAStreamIsOneDocument(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		var out bytes.Buffer
		p := &output.Printer{Out: &out, Format: format}
		for _, id := range []string{"a1~e-1", "a1~e-2"} {
			if err := p.ShowLine(&outboundv1.Delivery{EventId: id, RecipientId: "crm"}); err != nil {
				t.Fatal(err)
			}
		}
		golden.Check(t, "line."+format, out.Bytes())
	}
}

// hostile would control a terminal: C0 and C1 control characters, delete, bidirectional overrides and tags.
const hostile = "a\x1b[2J\x07\r\x7f\u009b31m\u202e\u2066\ufeff\U000e0041z"

func TestOutputDoesNotControlTheTerminal(t *testing.T) {
	for _, text := range []string{hostile, hostile + "\nsecond line\n", "\n" + hostile, "1" + hostile,
		"- " + hostile, "'" + hostile + "\"", "{" + hostile} {
		m := &outboundv1.HttpRecipient{Url: text, Headers: map[string]string{text: text, "plain": "one\n\ttwo\n"}}
		for format, read := range map[string]func([]byte, any) error{"json": json.Unmarshal, "yaml": yaml.Unmarshal} {
			for name, print := range map[string]func(*output.Printer) error{
				"show": func(p *output.Printer) error { return p.Show(m, nil) }, "line": func(p *output.Printer) error { return p.ShowLine(m) },
			} {
				var out bytes.Buffer
				if err := print(&output.Printer{Out: &out, Format: format}); err != nil {
					t.Fatal(err)
				}
				for _, r := range out.String() {
					if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
						t.Errorf("%s %s: %U in\n%q", name, format, r, out.String())
						break
					}
				}
				var got struct {
					URL     string            `json:"url" yaml:"url"`
					Headers map[string]string `json:"headers" yaml:"headers"`
				}
				if err := read(out.Bytes(), &got); err != nil || got.URL != text || got.Headers[text] != text ||
					got.Headers["plain"] != "one\n\ttwo\n" {
					t.Errorf("%s %s: %v: read back as %q from\n%s", name, format, err, got, out.String())
				}
			}
		}
	}
}

func TestSayIsForPeopleAlone(t *testing.T) {
	for format, want := range map[string]string{"table": "deleted crm?\n", "json": "", "yaml": ""} {
		var out bytes.Buffer
		p := &output.Printer{Out: &out, Format: format}
		p.Say("deleted %s", "crm\a")
		if out.String() != want || p.Structured() != (format != "table") {
			t.Errorf("-o %s: %q, structured %t", format, out.String(), p.Structured())
		}
	}
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	for format, good := range map[string]bool{"table": true, "json": true, "yaml": true, "xml": false, "": false, "JSON": false} {
		if err := (&output.Printer{Format: format}).CheckFormat(); (err == nil) != good {
			t.Errorf("-o %q: %v", format, err)
		}
	}
}

// full is a writer that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestAWriteThatFailsIsAnError(t *testing.T) {
	for format, print := range map[string]func(*output.Printer) error{
		"table": func(p *output.Printer) error { return p.Print(table()) },
		"json":  func(p *output.Printer) error { return p.Show(recipient(), nil) },
		"yaml":  func(p *output.Printer) error { return p.ShowLine(recipient()) },
	} {
		if err := print(&output.Printer{Out: full{}, Format: format}); err == nil || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("-o %s: %v", format, err)
		}
	}
	if err := (&output.Printer{Out: full{}, Format: "json"}).ShowJSON([]byte(`{"a":`)); err == nil {
		t.Error("half a document is printed")
	}
}

func TestCells(t *testing.T) {
	at := timestamppb.New(time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("CET", 3600)))
	long := strings.Repeat("é", 100)
	for _, c := range []struct{ got, want string }{
		{output.Clean("a\nb\tc\x1b[2J\u202e"), "a b?c?[2J?"},
		{output.Clock(nil), "-"},
		{output.Clock(at), "2026-11-21T11:00:00Z"},
		{output.Dash(""), "-"},
		{output.Dash("x"), "x"},
		{output.Yes(true), "yes"},
		{output.Yes(false), "no"},
		{output.Named("crm", ""), "crm"},
		{output.Named("crm", "crm"), "crm"},
		{output.Named("crm", "The CRM"), "crm (The CRM)"},
		{output.Code(0), "-"},
		{output.Code(421), "421"},
		{output.Size(0), "0 B"},
		{output.Size(1023), "1023 B"},
		{output.Size(1536), "1.5 KiB"},
		{output.Size(8 << 30), "8.0 GiB"},
		{output.Size(math.MaxUint64), "16777216.0 TiB"},
		{output.Compact([]byte("{ \"b\": 1,\n \"a\": [ ] }")), `{"a":[],"b":1}`},
		{output.Compact([]byte("no JSON")), "no JSON"},
		{output.Short("short"), "short"},
		{output.Short(long)[:160], strings.Repeat("é", 80)},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if got := output.Short(long); !strings.Contains(got, "100") {
		t.Errorf("a cut text does not say how long it was: %q", got)
	}
}

func TestProgressIsDrawnOnATerminalAlone(t *testing.T) {
	for terminal, want := range map[bool]string{true: "\r\x1b[K2 of 3\r\x1b[K4 of 4\r\x1b[K", false: ""} {
		synctest.Test(t, func(t *testing.T) {
			var errs bytes.Buffer
			bar := (&output.Printer{Err: &errs, Terminal: terminal}).Progress()
			bar.Show("%d of 3", 1) // too soon
			time.Sleep(150 * time.Millisecond)
			bar.Show("%d of 3", 2)
			bar.Show("%d of 3", 3) // too soon
			time.Sleep(150 * time.Millisecond)
			bar.Show("%d of 4", 4)
			bar.End()
			bar.End()
			if errs.String() != want {
				t.Errorf("terminal %t: %q, want %q", terminal, errs.String(), want)
			}
		})
	}
}

// faults is an error with lines.
type faults []string

func (faults) Error() string     { return "2 faults:" }
func (f faults) Lines() []string { return f }

func TestAnErrorIsPrintedWithItsLines(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New(""), ""},
		{errors.New("it\x1bfailed"), "outbound: it?failed\n"},
		{fmt.Errorf("apply: %w", faults{"name: is missing", "url: a\nb"}), "outbound: apply: 2 faults:\n  name: is missing\n  url: a b\n"},
	} {
		var out bytes.Buffer
		if output.PrintError(&out, c.err); out.String() != c.want {
			t.Errorf("got %q, want %q", out.String(), c.want)
		}
	}
}
