package emailsender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/addresses"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/emailsender/internal/relay"
)

// settingsSource knows the settings as they are now.
type settingsSource interface {
	Settings() *settings.Settings
}

// sender makes attempts: one connection, one transaction for each address that is neither done nor refused for good.
type sender struct {
	settings settingsSource
	pool     *relay.Pool
	timeout  time.Duration
	hello    string
	// now is the broker's clock.
	now func() time.Time
	// console is the URL of the console, for links in alerts; empty: it is not known.
	console string
}

// settingsChanged closes idle connections to a relay that is not the one of the settings any more, or is reached or signed in
// to otherwise.
func (s *sender) settingsChanged() { s.pool.Use(relay.Of(s.settings.Settings().SMTP, s.hello)) }

// Judge says what an outcome means.
func (*sender) Judge(d *delivery.Delivery, o delivery.Outcome) delivery.Verdict { return judge(d, o) }

// Send makes one attempt. The outcome's progress has the state of each address, so that the next attempt sends
// only to the remaining ones.
func (s *sender) Send(ctx context.Context, d *delivery.Delivery) delivery.Outcome {
	began := time.Now()
	ctx, cancel := s.within(ctx)
	defer cancel()
	a := &attempt{d: d, settings: s.settings.Settings(), progress: addresses.Read(d.Progress),
		out: delivery.Outcome{Began: s.now(), Fault: delivery.FaultNone}}
	s.send(ctx, a)
	return a.outcome(time.Since(began))
}

// within bounds an attempt, if the options do. The limits of each step hold in any case.
func (s *sender) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.timeout)
}

// send mails the addresses that are left, as far as it comes.
func (s *sender) send(ctx context.Context, a *attempt) {
	left := tallyOf(a.d, a.progress).left
	if len(left) == 0 {
		return
	}
	// Each attempt begins with another address, so that one that ends the connection, or hangs, holds no other back for ever.
	first := max(0, a.d.Attempt-1) % len(left)
	left = slices.Concat(left[first:], left[:first])
	if a.settings.SMTP.Host == "" || a.settings.SMTP.FromAddress == "" {
		a.stop(delivery.FaultRelayUnset, 0, "no SMTP relay or from address is configured: emails are queued until both are set")
		return
	}
	letters := a.compose(left)
	if len(letters) == 0 {
		return
	}
	c, f := s.pool.Get(ctx, relay.Of(a.settings.SMTP, s.hello))
	if f != nil {
		a.failed("", f)
		return
	}
	defer s.pool.Put(c)
	for _, l := range letters {
		f := c.Mail(ctx, relay.Mail{From: l.From, To: l.To, UTF8: l.UTF8, Data: l.Data, Lease: a.d.Lease})
		if f == nil {
			a.accepted(l.hash)
			continue
		}
		a.begun = a.begun || !f.Limited()
		a.failed(l.hash, f)
		if !f.GoesOn() {
			return
		}
	}
}

// attempt gathers what is seen in one attempt.
type attempt struct {
	d        *delivery.Delivery
	settings *settings.Settings
	progress addresses.List
	out      delivery.Outcome
	replies  []string
	// begun says that a mail was begun, so that something may have left the process.
	begun bool
}

// addressed is a letter and the hash that names its address in records.
type addressed struct {
	*mime.Email
	hash string
}

// compose writes the mails. An address that is none is refused for good; a sender that is none ends the attempt.
func (a *attempt) compose(left []string) []addressed {
	var letters []addressed
	for _, to := range left {
		hash := addresses.Hash(a.d.Recipient.ID, to)
		l, err := mailTo(a.d, a.settings, to, a.out.Began)
		var ours *mime.SenderError
		switch {
		case errors.As(err, &ours):
			a.stop(delivery.FaultRender, 0, "the sender address in the SMTP settings: "+ours.Error())
			return nil
		case err != nil:
			a.progress.Refused[hash] = codeNoAddress
			a.answered(codeNoAddress, err.Error())
		default:
			letters = append(letters, addressed{l, hash})
		}
	}
	return letters
}

// codeNoAddress is recorded for an invalid address, which is not sent to the relay.
const codeNoAddress = 553

// accepted notes that the relay has the mail for an address.
func (a *attempt) accepted(hash string) {
	a.begun, a.out.Accepted = true, true
	a.progress.Done = append(a.progress.Done, hash)
	a.answered(codeAccepted, "")
}

// codeAccepted is the reply to a mail that the relay takes.
const codeAccepted = 250

// failed notes a failure: of an address if the relay spoke of it, else of the attempt. An address that the relay was asked for and
// refused for what we are is put off.
func (a *attempt) failed(hash string, f *relay.Failure) {
	if f.Limited() {
		a.out.RetryAfter, a.out.Detail = f.Wait, f.Error()
		return
	}
	if f.Reply != "" {
		a.replies = append(a.replies, fmt.Sprintf("%s: %d %s", f.Step, f.Code, f.Reply))
	}
	if !f.OfAddress() {
		if f.GoesOn() {
			a.progress.Deferred[hash] = f.Code
		}
		fault := f.Fault
		if fault == delivery.FaultShutdown && a.begun {
			// A mail was under way, so this counts as an attempt.
			fault = delivery.FaultCut
		}
		if fault == delivery.FaultOverdue && a.out.Accepted {
			fault = delivery.FaultCut // this mail did not leave, but that of another address did
		}
		a.stop(fault, f.Code, f.Error())
		return
	}
	if f.Permanent() {
		a.progress.Refused[hash] = f.Code
	} else {
		a.progress.Deferred[hash] = f.Code
	}
	a.answered(f.Code, "")
}

// answered keeps the most relevant response: a deferral before a refusal, and a refusal before an acceptance.
func (a *attempt) answered(code int, reply string) {
	if reply != "" {
		a.replies = append(a.replies, fmt.Sprintf("%d %s", code, reply))
	}
	if rank(code) > rank(a.out.Status) {
		a.out.Status = code
	}
}

func rank(code int) int {
	switch {
	case code == 0:
		return 0
	case code < 400:
		return 1
	case code >= 500:
		return 2
	default:
		return 3
	}
}

// stop notes why the attempt ended before its addresses did.
func (a *attempt) stop(f delivery.Fault, code int, detail string) {
	a.out.Fault, a.out.Detail = f, detail
	if code != 0 {
		a.out.Status = code
	}
}

// outcome is what was seen.
func (a *attempt) outcome(took time.Duration) delivery.Outcome {
	sum := tallyOf(a.d, a.progress)
	if a.out.Detail == "" {
		a.out.Detail = sum.String()
	} else if sum.all > 1 {
		a.out.Detail += "; " + sum.String()
	}
	a.out.Excerpt = []byte(strings.Join(a.replies, "\n"))
	a.out.Progress = a.progress.Write()
	a.out.Took = took
	return a.out
}
