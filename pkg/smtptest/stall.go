package smtptest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// Step is a step of the protocol, by what the client says in it.
type Step string

// The steps. AtEnd is the end of a mail's data: the server has the mail then, whether or not the client learns of it.
const (
	AtEHLO Step = "EHLO"
	AtMAIL Step = "MAIL"
	AtRCPT Step = "RCPT"
	AtDATA Step = "DATA"
	AtEnd  Step = "."
)

// Stall is a server that falls silent: it hears a step and does not answer until Until is closed. Connections are to be in the
// clear.
type Stall struct {
	At    Step
	Until <-chan struct{}
}

// hear notes which step the client has come to. The caller holds the server's mu.
func (l *line) hear(b []byte) {
	if l.step == AtEnd {
		return // a mail's data
	}
	for _, s := range []Step{AtEHLO, AtMAIL, AtRCPT, AtDATA} {
		if word := []byte(s); len(b) >= len(word) && bytes.EqualFold(b[:len(word)], word) {
			l.step = s
			return
		}
	}
	l.step = ""
}

// stall waits before an answer if the script says so.
func (l *line) stall(answer []byte, script Script) {
	l.server.mu.Lock()
	step := l.step
	switch {
	case step == AtDATA && bytes.HasPrefix(answer, []byte("354")):
		l.step = AtEnd
	case step == AtEnd:
		l.step = ""
	}
	if script.Stall == nil || script.Stall.At != step {
		l.server.mu.Unlock()
		return
	}
	l.server.stalled[l] = true
	l.server.mu.Unlock()
	select {
	case <-script.Stall.Until:
	case <-l.server.closed:
	}
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	delete(l.server.stalled, l)
}

// AwaitStalled waits until at least n connections wait for an answer by Script.Stall, and all that there are.
func (s *Server) AwaitStalled(t testing.TB, n int) (stalled int) {
	t.Helper()
	waittest.NoError(t, fmt.Sprint(n, " connections without an answer"), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if stalled = len(s.stalled); stalled < n || stalled != len(s.open) {
			return fmt.Errorf("there are %d of %d", stalled, len(s.open))
		}
		return nil
	})
	return stalled
}
