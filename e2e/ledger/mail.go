package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// sink is the SMTP relay of a round. Each mail is in the journal before it is answered, once for each address.
type sink struct {
	seed    uint64
	journal *journal
	// recipients by address.
	recipients map[string]profile
	server     *smtp.Server
	address    *net.TCPAddr

	seen
}

func startSink(seed uint64, j *journal, all []profile) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	s := &sink{seed: seed, journal: j, recipients: map[string]profile{}, address: l.Addr().(*net.TCPAddr), seen: newSeen()}
	for _, p := range all {
		for _, a := range p.mail {
			s.recipients[a] = p
		}
	}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &conversation{sink: s, conn: c.Conn()}, nil
	}))
	s.server.Domain, s.server.ErrorLog = "relay.test", log.New(io.Discard, "", 0)
	go func() { _ = s.server.Serve(l) }() // ends with close
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

// conversation is one SMTP session.
type conversation struct {
	sink *sink
	conn net.Conn
	to   []string
}

// errCut ends a conversation without an answer.
var errCut = errors.New("cut as planned")

// Mail begins a mail.
func (c *conversation) Mail(string, *smtp.MailOptions) error {
	c.to = nil
	return nil
}

// Rcpt adds an address. Mails to others, e.g. alerts, are taken and not counted.
func (c *conversation) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = append(c.to, to)
	return nil
}

// Data takes a mail.
func (c *conversation) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	key, content, text := readMail(raw)
	worst := answer{kind: answerOK}
	var entries []received
	for _, to := range c.to {
		p, ok := c.sink.recipients[to]
		if !ok {
			continue
		}
		try := c.sink.try(to, key)
		if a := p.answer(c.sink.seed, to, key, try); a.kind != answerOK {
			worst = a
		}
		entries = append(entries, received{Time: time.Now(), Recipient: p.name, Address: to, Key: key, Try: try, Body: hash(text),
			Content: content})
	}
	for _, e := range entries {
		e.Answer, e.Success = worst.kind, worst.kind == answerOK
		if err := c.sink.journal.add(e); err != nil {
			return err
		}
		if e.Success {
			c.sink.succeed(e.Recipient, key)
		}
	}
	switch worst.kind {
	case answerDefer:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "as planned"}
	case answerCut:
		_ = c.conn.Close()
		return errCut
	default:
		return nil
	}
}

// Reset forgets the mail begun.
func (c *conversation) Reset() { c.to = nil }

// Logout ends the session.
func (c *conversation) Logout() error { return nil }

// readMail finds the key and the content in a mail of the ledger's recipients.
func readMail(raw []byte) (key, content, text string) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "", "", err.Error()
	}
	body := m.Body
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return "", "", err.Error()
	}
	text = string(b)
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "key="); ok {
			key = v
		}
		if v, ok := strings.CutPrefix(line, "content="); ok {
			content = v
		}
	}
	return key, content, text
}
