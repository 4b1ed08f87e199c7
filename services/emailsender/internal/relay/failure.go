package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	// StepHandshake is the TLS handshake, after STARTTLS or at once.
	StepHandshake Step = "the TLS handshake"
	StepAuth      Step = "AUTH"
	StepMail      Step = "MAIL FROM"
	StepRcpt      Step = "RCPT TO"
	StepData      Step = "DATA"
	StepEnd       Step = "end of DATA"
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
	// Slow is how long the step has taken by now, if the relay is still waited for.
	Slow time.Duration
	// unsupported says that the relay does not offer what the mail needs.
	unsupported bool
}

// unsupported is that the relay does not offer what an address needs.
func unsupported() *Failure {
	return &Failure{Step: StepRcpt, Fault: delivery.FaultNone, Code: codeNoUTF8, unsupported: true,
		Reply: "the relay does not offer SMTPUTF8, which an address with other letters than ASCII before the @ needs: " +
			"use an ASCII address, or a relay that offers SMTPUTF8"}
}

// codeNoUTF8 is recorded for an address that the relay can't take (RFC 6531 3.2).
const codeNoUTF8 = 553

// Error says what was attempted and how it failed. It contains no email addresses.
func (f *Failure) Error() string {
	switch {
	case f.unsupported:
		return f.Reply
	case f.Code != 0:
		return strings.TrimSuffix(fmt.Sprintf("the relay responded with %d to %s: %s", f.Code, f.Step, shortened(f.Reply)), ": ")
	case f.Step == StepTurn, f.Step == StepToken:
		return f.Cause.Error()
	}
	return fmt.Sprintf("SMTP relay at %s: %s", f.Step, withoutAddresses(f.Cause.Error()))
}

// Limited reports whether Outbound's limits were in the way, so that nothing left the process.
func (f *Failure) Limited() bool { return f.Step == StepTurn && f.Wait > 0 }

// Unwrap is the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// OfAddress reports whether the relay answered about the address, or the mail, alone. Before RCPT, and where it wants us to sign in or
// hangs up, it speaks of us.
func (f *Failure) OfAddress() bool { return f.GoesOn() && !f.unsupported && f.ofAddress() }

// GoesOn reports whether the next address may be tried on the same connection: the relay answered, to what follows MAIL, and stays.
func (f *Failure) GoesOn() bool {
	return f.Step.ofMail() && f.Step != StepMail && f.Fault == delivery.FaultNone && f.Code != codeClosing
}

// ofMail reports whether a step is one of handing over a mail.
func (s Step) ofMail() bool {
	switch s {
	case StepMail, StepRcpt, StepData, StepEnd:
		return true
	case StepTurn, StepToken, StepConnect, StepBanner, StepHello, StepTLS, StepHandshake, StepAuth:
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
	var text *textError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &reply):
		f.Fault, f.Code, f.Reply = delivery.FaultNone, reply.Code, withoutAddresses(reply.Msg)
		f.judgeCode()
	case errors.Is(context.Cause(ctx), errReplaced):
		return replaced()
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
	case errors.As(err, &protocol), errors.As(err, &text):
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
	case StepConnect, StepBanner, StepHello, StepTLS, StepHandshake, StepAuth:
		return delivery.FaultConnectTimeout
	case StepTurn, StepToken, StepMail, StepRcpt, StepData, StepEnd:
		return delivery.FaultTimeout
	default:
		return delivery.FaultTimeout
	}
}

// errReplaced ends what is under way to a relay that is not the one of the settings any more.
var errReplaced = errors.New("the SMTP settings have changed")

// replaceWait is after how long a mail that was ended by a change of the settings is attempted again.
const replaceWait = 100 * time.Millisecond

// replaced says that the settings have changed before a mail was handed over.
func replaced() *Failure {
	return &Failure{Step: StepTurn, Fault: delivery.FaultNone, Wait: replaceWait, Cause: errReplaced}
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

// failedTLS makes a failure of an error on the way to an encrypted connection. A handshake that is cut counts as TLS too: a
// server that can't agree often just hangs up.
func failedTLS(ctx context.Context, s Step, err error) *Failure {
	f := failed(ctx, s, err)
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	tlsFault := errors.As(err, &verify) || errors.As(err, &authority)
	if f.Step == StepTurn || f.Code == codeClosing {
		return f
	}
	if tlsFault || f.Fault != delivery.FaultConnectTimeout && f.Fault != delivery.FaultShutdown {
		f.Fault = delivery.FaultTLS
	}
	return f
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

// shortened is a reply in one line for a record's detail, which is read beside others.
func shortened(reply string) string {
	const most = 200
	reply = strings.Join(strings.Fields(reply), " ")
	if len(reply) > most {
		reply = strings.ToValidUTF8(reply[:most], "") + "…"
	}
	return reply
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
