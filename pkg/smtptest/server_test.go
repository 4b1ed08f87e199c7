package smtptest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
	"strconv"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func send(s *smtptest.Server, to string) error {
	return smtp.SendMail(net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())), nil, "from@example.com", []string{to},
		[]byte("Subject: hello\r\n\r\nbody\r\n"))
}

func TestAMailIsKept(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	if err := send(s, "to@example.org"); err != nil {
		t.Fatal(err)
	}
	m := s.Await(t, 1)[0]
	if m.Header.Get("Subject") != "hello" || string(m.Body) != "body\r\n" || m.From != "from@example.com" || m.TLS || !m.Answered ||
		s.CountFor("to@example.org") != 1 {
		t.Errorf("kept %+v", m)
	}
}

func TestAScriptSpoilsAsManyCommandsAsItSays(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	s.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{"to@example.org": {Code: 451, Message: "later"}}, Times: 1})
	var reply *textproto.Error
	if err := send(s, "to@example.org"); !errors.As(err, &reply) || reply.Code != 451 {
		t.Errorf("first: %v", err)
	}
	if err := send(s, "to@example.org"); err != nil {
		t.Errorf("second: %v", err)
	}
}

func TestSTARTTLSIsOfferedUnlessItIsHidden(t *testing.T) {
	ca := smtptest.NewCA(t)
	s := smtptest.Start(t, smtptest.Options{Certificate: ca.Issue(t, "127.0.0.1")})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca.PEM))
	for _, hidden := range []bool{false, true} {
		s.Play(smtptest.Script{HideSTARTTLS: hidden})
		c, err := smtp.Dial(net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())))
		if err != nil {
			t.Fatal(err)
		}
		if offered, _ := c.Extension("STARTTLS"); offered == hidden {
			t.Errorf("hidden %t, offered %t", hidden, offered)
		}
		if !hidden {
			if err := c.StartTLS(&tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}); err != nil {
				t.Error(err)
			}
		}
		_ = c.Close()
	}
}

func TestAScriptSpeaksInPlaceOfTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		script smtptest.Script
		code   int
	}{
		"EHLO": {smtptest.Script{Hello: &smtptest.Reply{Code: 550, Message: "no"}}, 550},
		"DATA": {smtptest.Script{DataCommand: &smtptest.Reply{Code: 452, Message: "full"}}, 452},
		"grey": {smtptest.Script{Greylist: true}, 451},
	} {
		s := smtptest.Start(t, smtptest.Options{})
		s.Play(c.script)
		var reply *textproto.Error
		if err := send(s, "to@example.org"); !errors.As(err, &reply) || reply.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if c.script.Greylist {
			if err := send(s, "to@example.org"); err != nil {
				t.Errorf("%s, again: %v", name, err)
			}
		}
	}
}

func TestAReplyThatDripsIsWhole(t *testing.T) {
	s := smtptest.Start(t, smtptest.Options{})
	s.Play(smtptest.Script{Drip: time.Microsecond})
	if err := send(s, "to@example.org"); err != nil {
		t.Fatal(err)
	}
	if s.CountFor("to@example.org") != 1 {
		t.Error("the mail is not there")
	}
}
