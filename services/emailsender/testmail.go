package emailsender

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/emailsender/internal/relay"
)

const (
	// knowWithin is how long the latest settings are waited for: changes act within 5 s.
	knowWithin = 5 * time.Second
	knowPoll   = 20 * time.Millisecond
	// answerReserve is the part of the asker's time that is left for the answer.
	answerReserve = time.Second
)

// answerTests sends test mails when asked to, until ctx ends or stop is called, which waits for the answers under way.
func (s *Service) answerTests(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := control.New(s.deps.Bus).ServeTestMail(ctx, s.test); err != nil {
			s.deps.Logger.Error("this sender can't send test emails", telemetry.KeyError, err.Error())
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// test sends a test mail to each address at once and answers what became of each. Nothing of it is recorded.
func (s *Service) test(ctx context.Context, q control.TestMailQuestion) ([]control.TestMailResult, error) {
	settings, err := s.settingsAsOf(ctx, q.Etag)
	if err != nil {
		return nil, err
	}
	id, now := ulid.Make().String(), s.deps.Bus.Now()
	ctx, cancel := context.WithTimeout(ctx, max(q.Within-answerReserve, answerReserve))
	defer cancel()
	out := make([]control.TestMailResult, len(q.To))
	var wg sync.WaitGroup
	for i, to := range q.To {
		wg.Go(func() {
			out[i] = s.testOne(ctx, settings, testMail{to: to, id: id, actor: q.Actor, at: now})
		})
	}
	wg.Wait()
	return out, nil
}

// settingsAsOf waits until the settings are known as the asker knows them.
func (s *Service) settingsAsOf(ctx context.Context, etag string) (*settings.Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, knowWithin)
	defer cancel()
	tick := time.NewTicker(knowPoll)
	defer tick.Stop()
	for {
		if now := s.deps.Config.Settings(); now.SMTP.Etag == etag {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("the email sender does not have the current SMTP settings: check its log and try again")
		case <-tick.C:
		}
	}
}

// testMail is a mail that shows that mail works.
type testMail struct {
	to, id, actor string
	at            time.Time
}

// testOne sends one test mail over a connection of its own and says what became of it. A relay that hangs before it has been given the
// mail is given up within seconds; the relay may take its time to take the mail, as long as the asker waits.
func (s *Service) testOne(ctx context.Context, settings *settings.Settings, t testMail) control.TestMailResult {
	out := control.TestMailResult{Address: t.to}
	l, err := composeTest(t, settings)
	if err != nil {
		out.Detail = err.Error()
		return out
	}
	r := relay.Of(settings.SMTP, s.send.hello)
	c, f := s.send.pool.Fresh(ctx, r)
	if f == nil {
		defer s.send.pool.Put(c)
		f = c.Mail(ctx, relay.Mail{From: l.From, To: l.To, UTF8: l.UTF8, Data: l.Data})
	}
	switch {
	case f == nil:
		out.Accepted, out.Code, out.Detail = true, codeAccepted, "accepted by the relay"
	case f.Limited():
		out.Detail = fmt.Sprintf("not sent: %s: next attempt in %s", f.Error(), max(f.Wait, time.Second).Round(time.Second))
		if trouble := s.relayHealth.trouble(r); trouble != "" {
			out.Detail += "; " + trouble
		}
	case f.OfAddress():
		out.Code, out.Detail = f.Code, strings.Join(strings.Fields(fmt.Sprintf("the relay responded with %d to %s: %s", f.Code, f.Step,
			f.Reply)), " ")
	default:
		out.Code, out.Detail = f.Code, f.Line(r)
	}
	return out
}

// composeTest writes a test mail. It is pure.
func composeTest(t testMail, s *settings.Settings) (*mime.Email, error) {
	at := t.at.In(s.Email.Location)
	return mime.Write(mime.Message{
		From: s.SMTP.FromAddress, FromName: s.SMTP.FromName, To: t.to, Date: at, ID: mime.Identity("test", t.id, strings.ToLower(t.to)),
		Text: render.Mail{Subject: "[test] Outbound can send email", Body: fmt.Sprintf(
			"This email confirms that Outbound can send email through %s.\n\nIt was requested by %s on %s.\n", s.SMTP.Host, t.actor,
			at.Format("2 January 2006 at 15:04:05 MST"))},
	})
}
