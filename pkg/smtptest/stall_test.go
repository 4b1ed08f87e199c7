package smtptest_test

import (
	"fmt"
	"net"
	"net/smtp"
	"testing"

	"github.com/outbound-events/outbound/pkg/smtptest"
)

func TestAServerFallsSilentAtEachStep(t *testing.T) {
	for step, kept := range map[smtptest.Step]int{smtptest.AtEHLO: 0, smtptest.AtMAIL: 0, smtptest.AtRCPT: 0, smtptest.AtDATA: 0,
		smtptest.AtEnd: 1} {
		t.Run(string(step), func(t *testing.T) {
			srv := smtptest.Start(t, smtptest.Options{})
			until := make(chan struct{})
			srv.Play(smtptest.Script{Stall: &smtptest.Stall{At: step, Until: until}})
			sent := make(chan error, 1)
			go func() {
				sent <- smtp.SendMail(net.JoinHostPort(srv.Host(), fmt.Sprint(srv.Port())), nil, "a@example.org", []string{"b@example.org"},
					[]byte("Subject: MAIL\r\n\r\nRCPT TO\r\n"))
			}()
			if n := srv.AwaitStalled(t, 1); n != 1 {
				t.Errorf("%d connections are stalled, want 1", n)
			}
			select {
			case err := <-sent:
				t.Fatalf("the mail was answered: %v", err)
			default:
			}
			if n := len(srv.Mails()); n != kept {
				t.Errorf("the server has %d mails, want %d", n, kept)
			}
			close(until)
			if err := <-sent; err != nil {
				t.Error(err)
			}
			srv.Await(t, 1)
		})
	}
}
