package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// Step is how far a conversation came.
type Step string

// The steps, in order.
const (
	// StepTurn is the wait for a free connection and for the rate limit, both ours.
	StepTurn Step = "Outbound's limits"
	// StepToken is the asking for an access token.
	StepToken   Step = "the token endpoint"
	StepConnect Step = "connecting"
	StepBanner  Step = "the banner"
	StepHello   Step = "EHLO"
	StepTLS     Step = "STARTTLS"
	StepAuth    Step = "AUTH"
	StepMail    Step = "MAIL FROM"
	StepRcpt    Step = "RCPT TO"
	StepData    Step = "DATA"
	StepEnd     Step = "end of DATA"
)

// codeClosing is the reply of a relay that hangs up.
const codeClosing = 421

// Failure is why a mail was not handed over.
type Failure struct {
	Step Step
	// Fault is FaultNone if the relay answered, with Code and Reply.
	Fault delivery.Fault
	Code  int
	// Reply is what the relay said, without addresses of people.
	Reply string
	// Cause is the error if it did not answer, or not so that it can be understood.
	Cause error
	// Wait is how long Outbound's limits want us to wait; the relay was not asked.
	Wait time.Duration
}

// Error says what was attempted and how it failed. It contains no email addresses.
func (f *Failure) Error() string {
	switch {
	case f.Code != 0:
		return fmt.Sprintf("the relay responded with %d to %s", f.Code, f.Step)
	case f.Step == StepTurn, f.Step == StepToken:
		return f.Cause.Error()
	}
	return fmt.Sprintf("SMTP relay at %s: %s", f.Step, withoutAddresses(f.Cause.Error()))
}

// Limited reports whether Outbound's limits were in the way, so that nothing left the process.
func (f *Failure) Limited() bool { return f.Step == StepTurn && f.Wait > 0 }

// Unwrap is the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// OfAddress reports whether the relay answered about the address alone, so that the next address may be tried on the same
// connection. Before RCPT, and where it wants us to sign in or hangs up, it speaks of us.
func (f *Failure) OfAddress() bool {
	switch f.Step {
	case StepRcpt, StepData, StepEnd:
		return f.Fault == delivery.FaultNone && f.Code != codeClosing
	case StepTurn, StepToken, StepConnect, StepBanner, StepHello, StepTLS, StepAuth, StepMail:
		return false
	default:
		return false
	}
}

// Permanent reports whether the relay refused for good.
func (f *Failure) Permanent() bool { return f.Fault == delivery.FaultNone && f.Code >= 500 }

// failed makes a failure of an error. What the context says comes first: a connection ends with it.
func failed(ctx context.Context, s Step, err error) *Failure {
	f := &Failure{Step: s, Cause: err}
	var reply *textproto.Error
	var protocol textproto.ProtocolError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &reply):
		f.Fault, f.Code, f.Reply = delivery.FaultNone, reply.Code, withoutAddresses(reply.Msg)
		f.judgeCode()
	case errors.Is(ctx.Err(), context.Canceled):
		f.Fault = delivery.FaultShutdown
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		f.Fault = timedOut(s)
	case errors.As(err, &dns):
		f.Fault = delivery.FaultDNS
	case errors.As(err, &timeout) && timeout.Timeout():
		f.Fault = timedOut(s)
	case s == StepConnect:
		f.Fault = delivery.FaultConnect
	case errors.As(err, &protocol):
		f.Fault = delivery.FaultProtocol
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE):
		f.Fault = delivery.FaultCut
	default:
		f.Fault = delivery.FaultProtocol
	}
	return f
}

// timedOut is the fault of a step that took too long. Before MAIL nothing of one event can cause it.
func timedOut(s Step) delivery.Fault {
	switch s {
	case StepConnect, StepBanner, StepHello, StepTLS, StepAuth:
		return delivery.FaultConnectTimeout
	case StepTurn, StepToken, StepMail, StepRcpt, StepData, StepEnd:
		return delivery.FaultTimeout
	default:
		return delivery.FaultTimeout
	}
}

// judgeCode turns a reply that is none into a fault, and one that wants us to sign in.
func (f *Failure) judgeCode() {
	switch {
	case f.Code < 400 || f.Code > 599:
		f.Fault = delivery.FaultProtocol
	case f.Code == 530 || f.Code == 534 || f.Code == 535 || f.Code == 538:
		f.Fault = delivery.FaultAuth
	}
}

// withoutAddresses takes addresses of people out of what a relay says, and keeps it short.
func withoutAddresses(s string) string {
	s = regexp.MustCompile(`[^\s<>"(),;:\[\]]+@[^\s<>"(),;:\[\]]+`).ReplaceAllString(s, "…")
	s = strings.ToValidUTF8(s, "\ufffd")
	const most = 1000
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// innermost is the cause of causes, which names no URL, or the first that tells all.
func innermost(err error) error {
	for {
		if told, ok := err.(*explained); ok { //nolint:errorlint // this one, not what it wraps
			return told
		}
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
