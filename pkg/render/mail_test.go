package render_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/render"
)

func TestDefaultMails(t *testing.T) {
	for _, typ := range append(event.Catalogue(), event.Type{ID: "own_type", DisplayName: "Own type", Email: true}) {
		if !typ.Email {
			continue
		}
		for name, e := range map[string]*event.Event{
			"full": event.Sample(typ, "appliance-1", "e-1", time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), []string{"region"}),
			"bare": {ID: "e-1", Appliance: "appliance-1", Type: typ.ID, Time: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)},
		} {
			m := render.NewMail(e, typ, render.MailOptions{
				Custom: []string{"region"}, CustomNames: map[string]string{"region": "Region"}, ApplianceName: "Berlin",
				HTMLBody: render.DefaultHTML(typ.ID),
			})
			golden.Check(t, "mail/"+typ.ID+"-"+name+".txt", []byte("Subject: "+m.Subject+"\n\n"+m.Body))
			golden.Check(t, "mail/"+typ.ID+"-"+name+".html", []byte(m.HTML))
		}
	}
}

func TestDefaultTextsHaveOnlyKnownMacros(t *testing.T) {
	for _, typ := range append(event.Catalogue(), event.Type{ID: "own_type"}) {
		known := render.KnownMacros([]event.Type{typ}, nil)
		for _, text := range []string{render.DefaultSubject(typ.ID), render.DefaultBody(typ.ID), render.DefaultHTML(typ.ID)} {
			if err := render.CheckMacros(text, known); err != nil {
				t.Errorf("%s: %v", typ.ID, err)
			}
		}
	}
}

func TestSubjectIsOneCleanLine(t *testing.T) {
	for value, want := range map[string]string{
		"a\r\nBcc: x@example.com": "a Bcc: x@example.com",
		"a\x00b\x7fc":             "a b c",
		" a \t\n  b ":             "a b",
		"a\xffb":                  "a\ufffdb",
		"a\u2028b\u0085c":         "a b c",
		"a\u202eb":                "ab",
		"größe €":                 "größe €",
	} {
		e := mailEvent()
		e.ExternalKey = value
		m := render.NewMail(e, event.Type{}, render.MailOptions{Subject: "%EXTERNAL_KEY%"})
		if m.Subject != want {
			t.Errorf("%q became %q, want %q", value, m.Subject, want)
		}
	}
}

func TestBodyKeepsLinesAndDropsControls(t *testing.T) {
	e := mailEvent()
	e.ExternalKey = "a\r\nb\rc\x00\x1b[31m\td\u202e\xff"
	if got, want := expand(e, "%EXTERNAL_KEY%"), "a\nb\nc[31m\td\ufffd"; got != want {
		t.Errorf("body is %q, want %q", got, want)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	e := mailEvent()
	e.ExternalKey = strings.Repeat("é", 100_000)
	m := render.NewMail(e, event.Type{}, render.MailOptions{Subject: "%EXTERNAL_KEY%", Body: strings.Repeat("%EXTERNAL_KEY%", 4000)})
	if len(m.Subject) > render.MaxSubject || !strings.HasSuffix(m.Subject, "é…") || !utf8.ValidString(m.Subject) {
		t.Errorf("subject has %d bytes and ends %q", len(m.Subject), m.Subject[len(m.Subject)-6:])
	}
	if len(m.Body) > render.MaxBody+8 || !strings.HasSuffix(m.Body, "…\n") || !utf8.ValidString(m.Body) {
		t.Errorf("body has %d bytes and ends %q", len(m.Body), m.Body[len(m.Body)-6:])
	}
}

func FuzzNewMail(f *testing.F) {
	f.Add("%EXTERNAL_KEY%", "a\r\nb")
	f.Add("%%%", "%A%")
	f.Add("%A%%%B", "\xff\x00=?utf-8?q?x?=")
	f.Fuzz(func(t *testing.T, text, value string) {
		e := mailEvent()
		e.ExternalKey = value
		m := render.NewMail(e, event.Type{}, render.MailOptions{Subject: text, Body: text})
		if strings.ContainsFunc(m.Subject, func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(m.Subject) ||
			len(m.Subject) > render.MaxSubject {
			t.Errorf("unsafe subject %q", m.Subject)
		}
		if strings.ContainsAny(m.Body, "\r\x00") || !utf8.ValidString(m.Body) {
			t.Errorf("unsafe body %q", m.Body)
		}
	})
}
