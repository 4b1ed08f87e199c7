// Package mime writes emails as they travel: headers and MIME round the texts that pkg/render words. It is the adapter of the library
// that writes MIME, and pure: the email sender sends what a preview shows.
package mime

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"github.com/outbound-events/outbound/pkg/render"
)

// Email is a mail to one address, ready to be sent.
type Email struct {
	From, To string
	// UTF8 says that an address needs SMTPUTF8.
	UTF8 bool
	Data []byte
}

// Message is what a letter is made of.
type Message struct {
	// From and FromName are the sender, To is the one address.
	From, FromName, To string
	// Date is when it is sent.
	Date time.Time
	// ID is the left side of the Message-ID; Thread that of the mail which those of a thread answer, empty: none. See Identity.
	ID, Thread string
	// Headers are further ones. Names and values are ours, never an event's as it is.
	Headers []render.Header
	Text    render.Mail
}

// SenderError is a fault of the settings, not of the address that was to be written to.
type SenderError struct{ Err error }

// Error is the fault in words.
func (e *SenderError) Error() string { return e.Err.Error() }

// Unwrap is the fault itself.
func (e *SenderError) Unwrap() error { return e.Err }

// Write makes a letter of a message: plain text, and HTML beside it if there is any. The same message gives the same bytes. An error
// means that the address, or the sender's, is none.
//
// go-mail writes the MIME: it folds and encodes headers and encodes bodies as quoted-printable. What reaches it holds no
// line breaks and no runs of blanks, and a text that reads like an encoded word is encoded itself, so a value of an event
// can't add a header, end the headers or read as something else.
func Write(m Message) (*Email, error) {
	from, err := Mailbox(m.From)
	if err != nil {
		return nil, &SenderError{err}
	}
	to, err := Mailbox(m.To)
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from, "@")
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithEncoding(mail.EncodingQP), mail.WithCharset(mail.CharsetUTF8))
	msg.FromMailAddress(&netmail.Address{Name: fromName(m.FromName), Address: from})
	msg.ToMailAddress(&netmail.Address{Address: to})
	msg.SetDateWithValue(m.Date)
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	if m.Thread != "" {
		thread := "<" + m.Thread + "@" + domain + ">"
		msg.SetGenHeader(mail.HeaderReferences, thread)
		msg.SetGenHeader(mail.HeaderInReplyTo, thread)
	}
	for _, h := range quiet() {
		msg.SetGenHeader(mail.Header(h.Name), h.Value)
	}
	for _, h := range m.Headers {
		msg.SetGenHeader(mail.Header(h.Name), h.Value)
	}
	msg.SetGenHeader(mail.HeaderSubject, encodedSubject(m.Text.Subject))
	msg.SetBodyString(mail.TypeTextPlain, strings.TrimRight(m.Text.Body, "\n")+"\n")
	if m.Text.HTML != "" {
		// No text can hold a boundary that is made of its own hash.
		msg.SetBoundary(Identity("boundary", m.ID, m.Text.Body, m.Text.HTML))
		msg.AddAlternativeString(mail.TypeTextHTML, strings.TrimRight(m.Text.HTML, "\n")+"\n")
	}
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, &SenderError{fmt.Errorf("write the email: %w", err)}
	}
	return &Email{From: from, To: to, UTF8: !ascii(from) || !ascii(to), Data: b.Bytes()}, nil
}

// quiet are headers that keep machines from answering: RFC 3834, and Microsoft's [MS-OXCMAIL] 2.2.3.2.14 for Exchange, whose out-of-office
// replies do not heed the first.
func quiet() []render.Header {
	return []render.Header{{Name: "Auto-Submitted", Value: "auto-generated"}, {Name: "X-Auto-Response-Suppress", Value: "All"}}
}

// Identity is the left side of a Message-ID: it tells one mail from another and says nothing about it.
func Identity(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:16])
}

// maxFromName is the most bytes of a sender's name.
const maxFromName = 100

// fromName is the sender's name, which may not read as an encoded word. It has no backslash, for net/mail writes one into an
// encoded word in a way that it can't read back itself.
func fromName(name string) string {
	name = strings.ReplaceAll(render.OneLine(name, maxFromName), `\`, "")
	return strings.ReplaceAll(name, "=?", "= ?")
}

// encodedSubject is a subject as it stands in the header. go-mail would leave a text alone that reads as encoded words, and a
// mail reader would then decode what an event's value says.
func encodedSubject(s string) string {
	if ascii(s) && !strings.Contains(s, "=?") {
		return s
	}
	// 45 bytes make 60 of base64: with its frame, an encoded word of at most 75 characters.
	const most = 45
	var words []string
	for s != "" {
		end := min(most, len(s))
		for end < len(s) && !utf8.RuneStart(s[end]) {
			end--
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:end]))+"?=")
		s = s[end:]
	}
	return strings.Join(words, " ")
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// From is the sender as people read it: name and address.
func From(m Message) string {
	if name := fromName(m.FromName); name != "" {
		return name + " <" + m.From + ">"
	}
	return m.From
}
