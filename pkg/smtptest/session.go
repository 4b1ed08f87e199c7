package smtptest

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// session is one client's conversation, from EHLO to EHLO.
type session struct {
	server *Server
	line   *line
	tls    bool
	user   string
	from   string
	to     []string
}

// errCut ends a session without an answer: the connection is closed already.
var errCut = errors.New("cut by the script")

// Mail begins a mail.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	_, cut := s.server.spoil(func(p Script) *Reply { return when(p.CutAtMail, &Reply{}) })
	if cut {
		_ = s.line.Close()
		return errCut
	}
	if r, ok := s.server.spoil(func(p Script) *Reply { return p.Mail }); ok {
		return s.answer(r)
	}
	s.from, s.to = from, nil
	return nil
}

// Rcpt adds an address to the mail.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if r, ok := s.server.spoil(func(p Script) *Reply { return p.Rcpt[to] }); ok {
		return s.answer(r)
	}
	if s.server.putsOff(to) {
		return s.answer(&Reply{Code: 451, Message: "greylisted, try again"})
	}
	s.to = append(s.to, to)
	return nil
}

// Data takes the mail.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := Mail{From: s.from, To: slices.Clone(s.to), Raw: raw, TLS: s.tls, User: s.user, Connection: s.line.number}
	if err := parse(&m); err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	if hold := s.server.playing().Hold; hold != nil {
		s.server.held.Do(func() { close(s.server.holding) })
		select {
		case <-hold:
		case <-s.server.closed:
		}
	}
	if _, cut := s.server.spoil(func(p Script) *Reply { return when(p.CutAfterData, &Reply{}) }); cut {
		s.server.keep(m)
		_ = s.line.Close()
		return errCut
	}
	if r, ok := s.server.spoil(s.refusal); ok {
		return s.answer(r)
	}
	m.Answered = true
	s.server.keep(m)
	return nil
}

// refusal is what the script answers to the data of this mail.
func (s *session) refusal(p Script) *Reply {
	for _, to := range s.to {
		if r := p.DataFor[to]; r != nil {
			return r
		}
	}
	return p.Data
}

// Reset forgets the mail begun.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout ends the session.
func (s *session) Logout() error { return nil }

// answer makes the reply of a script. After 421 a server hangs up.
func (s *session) answer(r *Reply) error {
	if r.Code == 421 {
		s.line.hangUp.Store(true)
	}
	return r.err()
}

func (r *Reply) err() error {
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.EnhancedCode{r.Code / 100, 0, 0}, Message: r.Message}
}

func when(is bool, r *Reply) *Reply {
	if is {
		return r
	}
	return nil
}

// AuthMechanisms are those offered.
func (s *session) AuthMechanisms() []string {
	o := s.server.options
	switch {
	case o.Username == "":
		return nil
	case o.Mechanisms == nil:
		return []string{"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"}
	default:
		return o.Mechanisms
	}
}

// Auth begins a sign-in.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.ContainsFunc(s.AuthMechanisms(), func(m string) bool { return strings.EqualFold(m, mechanism) }) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	if r, ok := s.server.spoil(func(p Script) *Reply { return p.Auth }); ok {
		return nil, s.answer(r)
	}
	check := func(username, password string) error {
		o := s.server.options
		taken := password == o.Password
		if o.Takes != nil {
			taken = o.Takes(password)
		}
		if username != o.Username || !taken {
			return smtp.ErrAuthFailed
		}
		s.user = username
		return nil
	}
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, username, password string) error { return check(username, password) }), nil
	case "LOGIN":
		return &loginServer{check: check}, nil
	case "CRAM-MD5":
		return &cramServer{password: s.server.options.Password, check: check}, nil
	case "XOAUTH2":
		return &tokenServer{check: check}, nil
	default:
		return nil, smtp.ErrAuthUnknownMechanism
	}
}
