package emailsender_test

import (
	"bytes"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/services/emailsender"
)

// settingsForMails are settings whose relay is never asked.
func settingsForMails() *configclient.Settings {
	return settingsFor("relay.example.com", 25).Settings()
}

// headersOf are the headers of every mail about an event of a session.
func headersOf() []string {
	return []string{
		"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "In-Reply-To", "Message-Id", "Mime-Version",
		"References", "Subject", "To", "X-Outbound-Event-Id",
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
		strings.Repeat(" ", 300) + "x", "x" + strings.Repeat(" ", 300) + "x", strings.Repeat("long", 400), "\t\t\t", "ünïcödé " + strings.Repeat("é", 300),
		"a\u202egpj.exe", "<x@y>, other@z", `"quoted" <x@y>`, "%EXTERNAL_KEY%%EVENT%", strings.Repeat("ab ", 200), ".", "..\n.\n",
	}
}

func TestNoValueAddsAHeader(t *testing.T) {
	for _, value := range injections() {
		checkValue(t, value, value)
	}
}

func FuzzCompose(f *testing.F) {
	for _, v := range injections() {
		f.Add(v, v)
		f.Add("%EXTERNAL_KEY% "+v, v)
	}
	f.Fuzz(checkValue)
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
	raw, err := emailsender.Compose(d, s, alice)
	if err != nil {
		t.Fatalf("compose: %v", err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("the mail can't be read back: %v\n%q", err, raw)
	}
	if got := slices.Sorted(maps.Keys(m.Header)); !slices.Equal(got, headersOf()) {
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
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || bytes.Contains(body, []byte{0}) {
		t.Errorf("body %q: %v", body, err)
	}
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
