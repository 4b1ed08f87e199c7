package smtptest_test

import (
	"net"
	"net/smtp"
	"strconv"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/smtptest"
)

func TestAPeerSaysWhatATestWrites(t *testing.T) {
	p := smtptest.StartPeer(t, smtptest.PeerScript{Hello: []string{"250-peer", "250 x-odd"}, Answer: func(c smtptest.Command) string {
		switch {
		case c.Verb == "RCPT" && c.Taken == 1:
			return "452 4.5.3 enough" + smtptest.HangUp
		default:
			return ""
		}
	}})
	address := net.JoinHostPort(p.Host(), strconv.Itoa(p.Port()))
	c, err := smtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for i := range 2 {
		if err := c.Mail("from@example.com"); err != nil {
			t.Fatal(err)
		}
		err := c.Rcpt("to@example.org")
		if i == 1 {
			if err == nil || !strings.Contains(err.Error(), "4.5.3 enough") {
				t.Errorf("the second mail: %v", err)
			}
			break
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("Subject: x\r\n\r\n.dot\r\n")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Noop(); err == nil {
		t.Error("the connection is still open")
	}
	m := p.Mails()
	if len(m) != 1 || string(m[0].Body) != ".dot\r\n" || p.CountFor("TO@example.org") != 1 || p.Connections() != 1 {
		t.Errorf("it took %+v over %d connections", m, p.Connections())
	}
	p.AwaitHeard(t, "MAIL", 2)
}
