package demo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailbox is a company's mail relay: it wants STARTTLS and a password, and keeps nothing.
type mailbox struct {
	// Port it listens on, at 127.0.0.1.
	Port     int
	server   *smtp.Server
	listener net.Listener
	done     chan struct{}
}

// The relay's account.
const (
	mailUser     = "outbound"
	mailPassword = "only-for-the-demo"
)

// startMailbox listens on a port of 127.0.0.1 that is free and calls got for each mail and address.
func startMailbox(config *tls.Config, got func(address string, a arrival)) (*mailbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the demo mailbox: %w", err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mailSession{got: got}, nil
	}))
	server.Domain, server.TLSConfig, server.MaxMessageBytes = "localhost", config, maxBody
	server.ReadTimeout, server.WriteTimeout = readHeaderTimeout, readHeaderTimeout
	server.ErrorLog = log.New(io.Discard, "", 0)
	m := &mailbox{Port: listener.Addr().(*net.TCPAddr).Port, server: server, listener: listener, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		// It ends once closed; anything else shows as mails that do not arrive.
		_ = server.Serve(listener)
	}()
	return m, nil
}

// Close ends open connections and waits for the server's goroutine.
func (m *mailbox) Close() error {
	err := m.server.Close()
	// The server closes the listeners it serves; this one may not have come to it yet.
	_ = m.listener.Close()
	<-m.done
	return err
}

// mailSession is one connection to the relay.
type mailSession struct {
	got      func(string, arrival)
	signedIn bool
	to       []string
}

// AuthMechanisms offers PLAIN, which go-smtp shows after STARTTLS alone.
func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth checks the account.
func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != mailUser || password != mailPassword {
			return smtp.ErrAuthFailed
		}
		s.signedIn = true
		return nil
	}), nil
}

// Mail begins a mail.
func (s *mailSession) Mail(string, *smtp.MailOptions) error {
	if !s.signedIn {
		return smtp.ErrAuthRequired
	}
	return nil
}

// Rcpt adds an address.
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

// Data takes the mail itself.
func (s *mailSession) Data(r io.Reader) error {
	a, err := readMail(r)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	for _, address := range s.to {
		s.got(address, a)
	}
	return nil
}

// Reset forgets the mail begun.
func (s *mailSession) Reset() { s.to = nil }

// Logout ends the session.
func (s *mailSession) Logout() error { return nil }

// readMail takes of a mail what the account shows: its subject, the lines of its text, and the event it is about.
func readMail(r io.Reader) (arrival, error) {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return arrival{}, fmt.Errorf("read the email: %w", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return arrival{}, fmt.Errorf("read the subject: %w", err)
	}
	text, err := plainText(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	if err != nil {
		return arrival{}, err
	}
	a := arrival{Subject: subject}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if key, ok := strings.CutPrefix(line, eventLine); ok {
			a.EventKey = key
		} else if line != "" {
			a.Lines = append(a.Lines, line)
		}
	}
	return a, nil
}

// plainText is the text of a mail, or of its first part if it has several.
func plainText(contentType, encoding string, body io.Reader) (string, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", fmt.Errorf("read the email's content type: %w", err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		part, err := multipart.NewReader(body, params["boundary"]).NextPart()
		if err != nil {
			return "", fmt.Errorf("read the email's first part: %w", err)
		}
		return plainText(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
	}
	if kind != "text/plain" {
		return "", errors.New("the email is not plain text but " + kind)
	}
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("read the email's text: %w", err)
	}
	return string(text), nil
}
