package output_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func TestATableForATerminalHasColoursAndRelativeTimes(t *testing.T) {
	ago := time.Now().Add(-3 * time.Hour).UTC().Format(time.RFC3339)
	rows := func() *output.Table {
		t := &output.Table{Head: []string{"ID", "STATE", "SINCE"}}
		t.Add("crm", "FAILING", ago)
		t.Add("OK", "DELIVERED", "-")
		t.Add("x\x1b[31m", "none", "2026-11-21")
		return t
	}
	const head, rest = "ID      STATE      SINCE\ncrm     FAILING    ", "\nOK      DELIVERED  -\nx?[31m  none       2026-11-21\n"
	for _, c := range []struct {
		p    output.Printer
		want string
	}{
		{output.Printer{}, head + ago + rest},
		{output.Printer{Relative: true}, head + "3h ago" + rest},
		{output.Printer{Relative: true, Color: true}, "\x1b[1mID      STATE      SINCE\x1b[0m\ncrm     \x1b[31mFAILING\x1b[0m    3h ago\n" +
			"\x1b[32mOK\x1b[0m      \x1b[32mDELIVERED\x1b[0m  -\nx?[31m  none       2026-11-21\n"},
	} {
		var out bytes.Buffer
		c.p.Out, c.p.Format = &out, "table"
		if err := c.p.Print(rows()); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("got\n%q, want\n%q", out.String(), c.want)
		}
	}
	var out bytes.Buffer
	facts := &output.Table{}
	facts.Add("time", ago)
	if err := (&output.Printer{Out: &out, Relative: true}).Print(facts); err != nil || out.String() != "time  "+ago+" (3h ago)\n" {
		t.Errorf("a fact is %q, %v", out.String(), err)
	}
}

func TestHowLongAgoATimeIs(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for before, want := range map[time.Duration]string{
		0: "now", 300 * time.Millisecond: "now", 12 * time.Second: "12s ago", 119 * time.Second: "119s ago", 5 * time.Minute: "5m ago",
		119 * time.Minute: "119m ago", 3 * time.Hour: "3h ago", 50 * time.Hour: "2d ago", -40 * time.Second: "in 40s", -72 * time.Hour: "in 3d",
	} {
		if got := output.Ago(now.Add(-before), now); got != want {
			t.Errorf("%v: %q, want %q", before, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 90 * time.Second: "90s", 90 * time.Minute: "90m", time.Minute: "1m", time.Hour: "1h", 10 * time.Second: "10s",
		70 * time.Second: "70s", 130 * time.Second: "2m10s", 150 * time.Minute: "2h30m", 0: "0s", 1500 * time.Millisecond: "1.5s",
		25*time.Hour + 10*time.Second: "25h0m10s",
	} {
		if got := output.Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestALineOfJSONIsPrintedInEachFormat(t *testing.T) {
	for format, want := range map[string]string{"json": "{\"a\":\"\\u001b\"}\n", "yaml": "---\na: \"\\x1b\"\n"} {
		var out bytes.Buffer
		if err := (&output.Printer{Out: &out, Format: format}).ShowJSONLine([]byte(`{"a": "\u001b"}`)); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v", format, out.String(), err)
		}
	}
	if err := (&output.Printer{Out: &bytes.Buffer{}, Format: "json"}).ShowJSONLine([]byte("{")); err == nil {
		t.Error("half a document is printed")
	}
}
