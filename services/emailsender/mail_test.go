package emailsender_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/emailsender"
)

// settingsForMails are settings whose relay is never asked.
func settingsForMails() *settings.Settings {
	return settingsFor("relay.example.com", 25).Settings()
}

// headersOf are the headers of every mail about an event of a session.
func headersOf() []string {
	return []string{
		"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "In-Reply-To", "Message-Id", "Mime-Version",
		"References", "Subject", "To", "X-Auto-Response-Suppress", "X-Outbound-Event-Id", "X-Outbound-Event-Time",
	}
}

func TestMailsToTheByte(t *testing.T) {
	for _, typ := range event.Catalogue() {
		if !typ.Email {
			continue
		}
		d := deliveryTo(alice)
		d.Event = event.Sample(typ, "appliance-1", "e-1", accepted, []string{"region"})
		raw, err := emailsender.Compose(d, settingsForMails(), alice)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, typ.ID+".eml", raw)
		d.Recipient.Email.HTMLBody = render.DefaultHTML(typ.ID)
		if raw, err = emailsender.Compose(d, settingsForMails(), alice); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, typ.ID+"-html.eml", raw)
	}
}

func TestOverridesAreOfTheirType(t *testing.T) {
	d := deliveryTo(alice)
	d.Recipient.Email.MailText = recipient.MailText{Subject: "for all", Body: "all %EVENT%"}
	d.Recipient.Email.Overrides = map[string]recipient.MailText{
		d.Event.Type: {Body: "mine %EVENT%", HTMLBody: "<p>mine</p>"}, "another": {Subject: "another's"},
	}
	text, html := parts(t, read(t, d))
	if subject := read(t, d).Header.Get("Subject"); subject != "for all" || text != "mine "+d.Event.Type+"\n" || html != "<p>mine</p>\n" {
		t.Errorf("%q, %q, %q", subject, text, html)
	}
	d.Event.Type = "another"
	text, html = parts(t, read(t, d))
	if subject := read(t, d).Header.Get("Subject"); subject != "another's" || text != "all another\n" || html != "" {
		t.Errorf("another type: %q, %q, %q", subject, text, html)
	}
}

func TestMailsOfASessionAreOneThread(t *testing.T) {
	first, second, other := deliveryTo(alice), deliveryTo(alice), deliveryTo(alice)
	second.Event.ID = "e-2"
	other.Event.Session = "another"
	a, b, c := read(t, first), read(t, second), read(t, other)
	if a.Header.Get("References") != b.Header.Get("References") || a.Header.Get("Message-Id") == b.Header.Get("Message-Id") {
		t.Error("two events of a session are not two mails of one thread")
	}
	if a.Header.Get("References") == c.Header.Get("References") {
		t.Error("two sessions are one thread")
	}
	none := deliveryTo(alice)
	none.Event.Session = ""
	if h := read(t, none).Header; h.Get("References") != "" || h.Get("In-Reply-To") != "" {
		t.Error("an event without a session has a thread")
	}
}

func TestMessageIDsTellDeliveriesAndAddressesApart(t *testing.T) {
	ids := map[string]bool{}
	for _, change := range []func(*delivery.Delivery){
		func(*delivery.Delivery) {},
		func(d *delivery.Delivery) { d.Recipient.ID = "other" },
		func(d *delivery.Delivery) { d.Event.ID = "e-2" },
		func(d *delivery.Delivery) { d.Event.Appliance = "appliance-2" },
		func(d *delivery.Delivery) { d.ReplayID = "r-1" },
		func(d *delivery.Delivery) { d.Recipient.Email.Addresses[0] = bob },
	} {
		d := deliveryTo(alice)
		change(d)
		ids[read(t, d).Header.Get("Message-Id")] = true
		d.Attempt, d.Progress = 7, []byte(`{}`)
		ids[read(t, d).Header.Get("Message-Id")] = true
	}
	if len(ids) != 6 {
		t.Errorf("%d Message-IDs, want 6", len(ids))
	}
}

func TestATestMailSaysSo(t *testing.T) {
	d := deliveryTo(alice)
	d.Test = true
	if got := read(t, d).Header.Get("Subject"); !strings.HasPrefix(got, "[test] ") {
		t.Errorf("subject %q", got)
	}
}

func TestDomainsBeyondASCIIAreSentInASCII(t *testing.T) {
	raw, err := emailsender.Compose(deliveryTo(alice), settingsForMails(), "ops@bücher.example")
	if err != nil || !bytes.Contains(raw, []byte("To: <ops@xn--bcher-kva.example>\r\n")) {
		t.Errorf("%v\n%s", err, raw)
	}
}

// injections are values that have broken mail programs.
func injections() []string {
	return []string{
		"a\r\nBcc: victim@example.com", "a\nBcc: victim@example.com", "a\rBcc: x", "a\r\n\r\nbody", "\r\n.\r\nMAIL FROM:<x@y>",
		"a\x00b", "=?utf-8?q?=0D=0ABcc:_x@y?=", "=?UTF-8?B?QmNjOiB4QHk=?=", "=?", "a\u2028Bcc: x", "a\x85b", "\xff\xfe=?\xc3",
		strings.Repeat(" ", 300) + "x", "x" + strings.Repeat(" ", 300) + "x", strings.Repeat("long", 400), "\t\t\t", "ünïcödé " +
			strings.Repeat("é", 300),
		"a\u202egpj.exe", "<x@y>, other@z", `"quoted" <x@y>`, "%EXTERNAL_KEY%%EVENT%", strings.Repeat("ab ", 200), ".", "..\n.\n",
	}
}

func TestNoValueAddsAHeader(t *testing.T) {
	for _, value := range append(injections(), strings.Repeat("1 MB\r\n", 1<<18)) {
		checkValue(t, value, value)
		checkHTMLValue(t, value)
	}
}

func FuzzCompose(f *testing.F) {
	for _, v := range injections() {
		f.Add(v, v)
		f.Add("%EXTERNAL_KEY% "+v, v)
	}
	f.Fuzz(func(t *testing.T, template, value string) {
		checkValue(t, template, value)
		checkHTMLValue(t, value)
	})
}

// checkValue writes a mail with a value in every place that a value can reach, reads it back, and wants exactly our headers
// with what we meant in them.
func checkValue(t *testing.T, template, value string) {
	t.Helper()
	d := deliveryTo(alice)
	d.Event.ExternalKey, d.Event.Session, d.Event.Custom[0].Value = value, "0a1b"+value, value
	d.Recipient.Email.Subject, d.Recipient.Email.Body = template+"%EXTERNAL_KEY%", template+"%EXTERNAL_KEY%"
	s := settingsForMails()
	s.SMTP.FromName = value
	m := checkHeaders(t, d, s, headersOf())
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || bytes.Contains(body, []byte{0}) {
		t.Errorf("body %q: %v", body, err)
	}
}

// checkHTMLValue is the same for a mail with an HTML part beside the text: it has two parts and no more, and the HTML has the elements
// that were written, as a parser of its own reads it.
func checkHTMLValue(t *testing.T, value string) {
	t.Helper()
	d := deliveryTo(alice)
	d.Event.ExternalKey, d.Event.Session, d.Event.Appliance, d.Event.Custom[0].Value = value, "0a1b"+value, "a1", value
	for i := range d.Event.Variables {
		d.Event.Variables[i].Value = value
	}
	d.Recipient.Email.HTMLBody = `<p title="%EXTERNAL_KEY%">%CUSTOM_REGION%<a href="%EXTERNAL_KEY%">%EVENT_VARIABLES%</a></p>`
	want := slices.DeleteFunc(headersOf(), func(name string) bool { return name == "Content-Transfer-Encoding" })
	text, markup := parts(t, checkHeaders(t, d, settingsForMails(), want))
	if text == "" || strings.ContainsAny(text+markup, "\r\x00") {
		t.Errorf("the parts are %q and %q", text, markup)
	}
	root, err := html.Parse(strings.NewReader(markup))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		got = append(got, n.Data)
		for _, a := range n.Attr {
			got = append(got, n.Data+"."+a.Key)
			if scheme, _, cut := strings.Cut(a.Val, ":"); a.Key == "href" && cut &&
				!slices.Contains([]string{"http", "https", "mailto"}, strings.ToLower(scheme)) && !strings.ContainsAny(scheme, "/?#") {
				t.Errorf("%q became the link %q", value, a.Val)
			}
		}
	}
	if !slices.Equal(got, []string{"html", "head", "body", "p", "p.title", "a", "a.href"}) {
		t.Errorf("%q made the elements %q", value, got)
	}
}

// parts are the text and the HTML of a mail, as net/mail and mime/multipart read it; a mail of another build fails the test.
func parts(t *testing.T, m *mail.Message) (text, markup string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(body), "\r\n", "\n"), ""
	}
	if kind != "multipart/alternative" {
		t.Fatalf("the mail is %s", kind)
	}
	var found []string
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil || len(p.Header) != 1 {
			t.Fatalf("part with %v: %v", p.Header, err)
		}
		found = append(found, p.Header.Get("Content-Type"), strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	if len(found) != 4 || found[0] != "text/plain; charset=UTF-8" || found[2] != "text/html; charset=UTF-8" {
		t.Fatalf("the parts are %q", found)
	}
	return found[1], found[3]
}

// checkHeaders writes the mail and wants exactly the headers that are ours, with what we meant in them.
func checkHeaders(t *testing.T, d *delivery.Delivery, s *settings.Settings, want []string) *mail.Message {
	t.Helper()
	raw, err := emailsender.Compose(d, s, alice)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("the mail can't be read back: %v\n%q", err, raw)
	}
	if got := slices.Sorted(maps.Keys(m.Header)); !slices.Equal(got, want) {
		t.Errorf("headers are %q\n%q", got, raw)
	}
	for name, values := range m.Header {
		if len(values) != 1 || strings.ContainsAny(values[0], "\r\n\x00") {
			t.Errorf("%s is %q", name, values)
		}
	}
	if from, err := m.Header.AddressList("From"); err != nil || len(from) != 1 || from[0].Address != "outbound@example.com" {
		t.Errorf("From is %q: %v %v", m.Header.Get("From"), from, err)
	}
	if to := m.Header.Get("To"); to != "<"+alice+">" {
		t.Errorf("To is %q", to)
	}
	checkSubject(t, m.Header.Get("Subject"))
	checkLines(t, raw)
	return m
}

// checkSubject wants a subject that decodes once: what comes out is not decoded again by a reader that looks for more.
func checkSubject(t *testing.T, header string) {
	t.Helper()
	subject, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil || strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("subject %q reads %q: %v", header, subject, err)
	}
	if !strings.HasPrefix(header, "=?UTF-8?B?") && strings.Contains(header, "=?") {
		t.Errorf("subject %q holds an encoded word of the event's", header)
	}
}

// checkLines wants lines as RFC 5322 has them, in ASCII.
func checkLines(t *testing.T, raw []byte) {
	t.Helper()
	for line := range bytes.SplitSeq(bytes.TrimSuffix(raw, []byte("\r\n")), []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") || bytes.ContainsFunc(line, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("line %q", line)
		}
	}
}

func read(t *testing.T, d *delivery.Delivery) *mail.Message {
	t.Helper()
	raw, err := emailsender.Compose(d, settingsForMails(), d.Recipient.Email.Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
