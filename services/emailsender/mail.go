package emailsender

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/render"
)

// The most an address and a sender's name may have, in bytes.
const (
	maxAddress  = 254
	maxFromName = 100
)

// testMark begins the subject of mails that an operator asked for to try a recipient.
const testMark = "[test] "

// letter is a mail to one address, ready to be sent: the same bytes at each attempt while recipient and settings stay as
// they are.
type letter struct {
	from, to string
	// utf8 says that an address needs SMTPUTF8.
	utf8 bool
	data []byte
	// hash names the address in records.
	hash string
}

// compose writes the mail of a delivery to one of its addresses. It is pure. An error means that the address, or the sender's,
// is none.
//
// go-mail writes the MIME: it folds and encodes headers and encodes the body as quoted-printable. What reaches it holds no
// line breaks and no runs of blanks, and a text that reads like an encoded word is encoded itself, so a value of an event
// can't add a header, end the headers or read as something else.
func compose(d *delivery.Delivery, s *configclient.Settings, to string) (*letter, error) {
	from, err := mailbox(s.SMTP.FromAddress)
	if err != nil {
		return nil, &senderError{err}
	}
	rcpt, err := mailbox(to)
	if err != nil {
		return nil, err
	}
	e := d.Event
	text := render.NewMail(e, s.Types[e.Type], render.MailOptions{
		Subject: d.Recipient.Email.Subject, Body: d.Recipient.Email.Body, Custom: s.CustomFields, Zone: s.Email.Location,
	})
	_, domain, _ := strings.Cut(from, "@")
	m := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithEncoding(mail.EncodingQP), mail.WithCharset(mail.CharsetUTF8))
	m.FromMailAddress(&netmail.Address{Name: fromName(s.SMTP.FromName), Address: from})
	m.ToMailAddress(&netmail.Address{Address: rcpt})
	m.SetDateWithValue(d.Accepted.In(s.Email.Location))
	m.SetMessageIDWithValue(identity("mail", d.Key(), strings.ToLower(to)) + "@" + domain)
	if e.Session != "" {
		thread := "<" + identity("session", e.Appliance, e.Session) + "@" + domain + ">"
		m.SetGenHeader(mail.HeaderReferences, thread)
		m.SetGenHeader(mail.HeaderInReplyTo, thread)
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Outbound-Event-Id", e.Key())
	if d.Test {
		text.Subject = render.OneLine(testMark+text.Subject, render.MaxSubject)
	}
	m.SetGenHeader(mail.HeaderSubject, encodedSubject(text.Subject))
	m.SetBodyString(mail.TypeTextPlain, strings.TrimRight(text.Body, "\n")+"\n")

	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, &senderError{fmt.Errorf("write the mail: %w", err)}
	}
	return &letter{from: from, to: rcpt, utf8: !ascii(from) || !ascii(rcpt), data: b.Bytes()}, nil
}

// senderError is a fault of the settings, not of the address that was to be written to.
type senderError struct{ error }

// Unwrap is the fault itself.
func (e *senderError) Unwrap() error { return e.error }

// identity is the left side of a Message-ID: it tells one mail from another and says nothing about it.
func identity(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:16])
}

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

// mailbox checks an address as a relay is told it, and returns it with its domain in ASCII. Quoted local parts and address
// literals are refused: they are the way commands are smuggled into an envelope.
func mailbox(address string) (string, error) {
	if len(address) > maxAddress {
		return "", fmt.Errorf("an address has more than %d bytes", maxAddress)
	}
	if !utf8.ValidString(address) || strings.ContainsFunc(address, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`"\<>()[],;:`, r)
	}) {
		return "", errors.New("an address holds characters that addresses do not have")
	}
	if a, err := netmail.ParseAddress(address); err != nil || a.Name != "" || a.Address != address {
		return "", errors.New("an address is not of the form name@domain")
	}
	local, domain, _ := strings.Cut(address, "@")
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || domain == "" {
		return "", errors.New("an address has no usable domain")
	}
	return local + "@" + domain, nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
