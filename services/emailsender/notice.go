package emailsender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/standing"
	"github.com/outbound-events/outbound/services/emailsender/internal/relay"
)

// How mails to contacts are tried: noticePull is how long one request for them stays open, noticeFor how long one is tried
// before it is given up.
const (
	noticePull  = 5 * time.Second
	noticeAgain = time.Second
	noticeFor   = 24 * time.Hour
)

// tellContacts mails what the senders have to tell contacts, one mail at a time, until ctx ends. stop waits for the mail that is
// under way.
func (s *Service) tellContacts(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := s.takeNotices(ctx); err != nil && ctx.Err() == nil {
				slog.Debug("mails to contacts can't be taken, trying again", "error", err.Error())
			}
			t := time.NewTimer(noticeAgain)
			select {
			case <-ctx.Done():
			case <-t.C:
			}
			t.Stop()
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// takeNotices mails until the queue breaks off.
func (s *Service) takeNotices(ctx context.Context) error {
	queue, err := s.deps.Bus.OpenNotices(ctx)
	if err != nil {
		return err
	}
	defer queue.Close()
	for ctx.Err() == nil {
		if err := queue.Pull(ctx, noticePull, func(n bus.Notice) { s.notice(ctx, n) }); err != nil {
			return err
		}
	}
	return nil
}

// notice makes one attempt to mail a notice and settles it. What the relay refuses is tried again like all else, for the
// operator may mend it; after noticeFor it is given up.
func (s *Service) notice(ctx context.Context, n bus.Notice) {
	if n.Unreadable != nil {
		slog.Error("notice given up", "error", n.Unreadable.Error())
		_ = n.Settler.Term("unreadable")
		return
	}
	err := s.send.notice(context.WithoutCancel(ctx), n.Notice)
	var never *addressError
	switch {
	case err == nil:
		slog.Info("contact told", "notice", string(n.Kind), "recipient", n.About[0].Recipient, "recipients", len(n.About))
		_ = n.Settler.Ack() // unconfirmed: if it is lost the mail is sent again
	case errors.As(err, &never), time.Since(n.Stored) >= noticeFor:
		slog.Error("contact not told, given up", "notice", string(n.Kind), "error", err.Error())
		_ = n.Settler.Term("given up")
	default:
		again := max(s.send.settings.Settings().Email.RetryInterval, noticeAgain/10)
		slog.Warn("contact not told yet", "notice", string(n.Kind), "error", err.Error(), "again", again.String())
		_ = n.Settler.Later(again)
	}
}

// addressError is the fault of an address that is none.
type addressError struct{ error }

// notice mails a notice to its address.
func (s *sender) notice(ctx context.Context, n standing.Notice) error {
	if len(n.About) == 0 {
		return &addressError{errors.New("a notice tells of nothing")}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	now := s.settings.Settings()
	if now.SMTP.Host == "" || now.SMTP.FromAddress == "" {
		return errors.New("no SMTP relay is set, or no from address")
	}
	l, err := composeNotice(n, now)
	if err != nil {
		return err
	}
	c, f := s.pool.Get(ctx, relay.Of(now.SMTP, s.hello))
	if f != nil {
		return f
	}
	defer s.pool.Put(c)
	if f := c.Mail(ctx, relay.Mail{From: l.from, To: l.to, UTF8: l.utf8, Data: l.data}); f != nil {
		return f
	}
	return nil
}

// composeNotice writes the mail of a notice. It is pure; a notice gives the same mail each time.
func composeNotice(n standing.Notice, s *configclient.Settings) (*letter, error) {
	from, err := mailbox(s.SMTP.FromAddress)
	if err != nil {
		return nil, &senderError{err}
	}
	rcpt, err := mailbox(n.To)
	if err != nil {
		return nil, &addressError{err}
	}
	text := render.NewNotice(n, s.Email.Location)
	_, domain, _ := strings.Cut(from, "@")
	m := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithEncoding(mail.EncodingQP), mail.WithCharset(mail.CharsetUTF8))
	m.FromMailAddress(&netmail.Address{Name: fromName(s.SMTP.FromName), Address: from})
	m.ToMailAddress(&netmail.Address{Address: rcpt})
	m.SetDateWithValue(n.At.In(s.Email.Location))
	m.SetMessageIDWithValue(identity("notice", n.ID) + "@" + domain)
	thread := "<" + identity("notices", n.Thread) + "@" + domain + ">"
	m.SetGenHeader(mail.HeaderReferences, thread)
	m.SetGenHeader(mail.HeaderInReplyTo, thread)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Outbound-Notice", string(n.Kind))
	m.SetGenHeader(mail.HeaderSubject, encodedSubject(text.Subject))
	m.SetBodyString(mail.TypeTextPlain, text.Body)
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, &senderError{fmt.Errorf("write the mail: %w", err)}
	}
	return &letter{from: from, to: rcpt, utf8: !ascii(from) || !ascii(rcpt), data: b.Bytes()}, nil
}
