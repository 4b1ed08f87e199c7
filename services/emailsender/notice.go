package emailsender

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/emailsender/internal/relay"
)

// How mails to contacts are tried: noticePull is how long one request for them stays open, noticeFor how long one is tried
// before it is given up, noticeLook how long it may take to see whether it still holds. noticeSettling is for how many retry
// intervals a relay that came back works before anybody is told that it fails: by then each recipient was tried again.
const (
	noticePull     = 5 * time.Second
	noticeAgain    = time.Second
	noticeFor      = 24 * time.Hour
	noticeLook     = 5 * time.Second
	noticeSettling = 2
)

// notifier mails what is to be told to contacts, one mail at a time.
type notifier struct {
	send   *sender
	conn   *bus.Conn
	log    *slog.Logger
	health *control.HealthStore
	// touchEvery is how often the broker is told of the mail that is under way.
	touchEvery time.Duration
	// grace is how long the mail under way may go on once mails are taken no more.
	grace time.Duration
	// up is since when the relay is seen to work; zero: it was not, or did not when it was last asked.
	up time.Time
}

func newNotifier(s *Service) *notifier {
	return &notifier{send: s.send, conn: s.deps.Bus, log: s.deps.Logger, health: control.NewHealthStore(s.deps.Bus), touchEvery: s.touchEvery,
		grace: s.o.Grace}
}

// start mails until ctx ends. stop waits for the mail that is under way.
func (t *notifier) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := t.take(ctx); err != nil && ctx.Err() == nil {
				t.log.Debug("read of queued alerts failed, retrying", telemetry.KeyError, err.Error())
			}
			pause.For(ctx, noticeAgain)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// take mails until the queue breaks off.
func (t *notifier) take(ctx context.Context) error {
	notices, err := queue.OpenNotices(ctx, t.conn)
	if err != nil {
		return err
	}
	defer notices.Close()
	for ctx.Err() == nil {
		err := notices.Pull(ctx, noticePull, func(n queue.Notice) {
			finish, cancel := t.conn.WithoutCancel(ctx)
			defer cancel()
			// A slow relay may take minutes, a stop may not.
			defer context.AfterFunc(ctx, func() { time.AfterFunc(t.grace, cancel) })()
			t.notice(finish, n)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// notice makes one attempt to mail a notice and settles it. What the relay refuses is tried again like all else, for the
// operator may mend it; after noticeFor it is given up. What is over by now is not told: it has a later notice.
func (t *notifier) notice(ctx context.Context, n queue.Notice) {
	if n.Unreadable != nil {
		t.log.Error("alert discarded", telemetry.KeyError, n.Unreadable.Error())
		_ = n.Settler.Term("unreadable")
		return
	}
	if n.Lease.Over() { // another sender may have it
		return
	}
	interval := max(t.send.settings.Settings().Email.RetryInterval, noticeAgain/10)
	now, holds := t.current(ctx, n.Notice)
	if !holds {
		t.log.Info("alert not sent, it is outdated", logkey.Notice, string(n.Kind), logkey.About, about(n.Notice))
		_ = n.Settler.Ack()
		return
	}
	stop := lease.Touch(n.Settler, &n.Lease, t.touchEvery)
	err := t.mail(ctx, now, noticeSettling*interval)
	stop()
	var never *addressError
	switch {
	case err == nil:
		t.log.Info("alert sent", logkey.Notice, string(n.Kind), logkey.About, about(now), logkey.Recipients, len(now.About))
		_ = n.Settler.Ack() // unconfirmed: if it is lost the mail is sent again
	case errors.Is(err, errSettling):
		_ = n.Settler.NakWithDelay(interval)
	case errors.As(err, &never), t.conn.Now().Sub(n.Stored) >= noticeFor:
		t.log.Error("alert not sent, discarded", logkey.Notice, string(n.Kind), logkey.About, about(now), telemetry.KeyError, err.Error())
		_ = n.Settler.Term("given up")
	default:
		t.log.Warn("alert not sent yet", logkey.Notice, string(n.Kind), logkey.About, about(now), telemetry.KeyError, err.Error(), logkey.Again,
			interval.String())
		_ = n.Settler.NakWithDelay(interval)
	}
}

// about names the first of what a notice tells of.
func about(n health.Notice) string {
	switch {
	case len(n.About) > 0:
		return n.About[0].Recipient
	case n.Silence != nil:
		return n.Silence.Appliance
	case n.Filling != nil:
		return n.Filling.Stream
	default:
		return ""
	}
}

// current looks at what a notice tells of as it is now. What can't be looked at is told as it is.
func (t *notifier) current(ctx context.Context, n health.Notice) (health.Notice, bool) {
	ctx, cancel := context.WithTimeout(ctx, noticeLook)
	defer cancel()
	if n.Kind == health.KindSilent && n.Silence != nil {
		m, _, err := t.health.Mark(ctx, control.MarkSilent+n.Silence.Appliance)
		return n, err != nil || m.Of == n.Silence.Key() && !m.Over
	}
	states := map[string]health.Status{}
	for _, a := range n.About {
		if n.Channel == "" {
			break
		}
		e, err := t.health.Get(ctx, n.Channel, a.Recipient)
		if err != nil {
			return n, true
		}
		states[a.Recipient] = e.Status
	}
	return n.Current(func(id string) health.Status { return states[id] })
}

// errSettling says that the relay has come back a moment ago.
var errSettling = errors.New("the relay works again: waiting for the next result")

// mail mails a notice to its address. A notice that the relay itself fails is mailed only if that is still so after the relay has
// worked for a while.
func (t *notifier) mail(ctx context.Context, n health.Notice, settling time.Duration) error {
	ctx, cancel := t.send.within(ctx)
	defer cancel()
	up := t.up
	t.up = time.Time{}
	c, l, err := t.send.open(ctx, n)
	if err != nil {
		return err
	}
	defer t.send.pool.Put(c)
	if t.up = up; up.IsZero() {
		t.up = time.Now()
	}
	if n.OfRelay() && time.Since(t.up) < settling {
		return errSettling
	}
	if f := c.Mail(ctx, relay.Mail{From: l.From, To: l.To, UTF8: l.UTF8, Data: l.Data}); f != nil {
		return f
	}
	return nil
}

// addressError is the fault of an address that is none.
type addressError struct{ error }

// open writes the mail of a notice and opens a connection for it, which is to be put back.
func (s *sender) open(ctx context.Context, n health.Notice) (*relay.Conn, *mime.Email, error) {
	now := s.settings.Settings()
	if now.SMTP.Host == "" || now.SMTP.FromAddress == "" {
		return nil, nil, errors.New("no SMTP relay or from address is configured")
	}
	l, err := composeNotice(n, now, s.console, s.now())
	if err != nil {
		return nil, nil, err
	}
	c, f := s.pool.Get(ctx, relay.Of(now.SMTP, s.hello))
	if f != nil {
		return nil, nil, f
	}
	return c, l, nil
}

// composeNotice writes the mail of a notice, sent at a time, with a link to the console.
// It is pure; but for its date a notice gives the same mail each time.
func composeNotice(n health.Notice, s *settings.Settings, console string, at time.Time) (*mime.Email, error) {
	l, err := mime.Write(mime.Message{
		From: s.SMTP.FromAddress, FromName: s.SMTP.FromName, To: n.To, Date: at.In(s.Email.Location),
		ID: mime.Identity("notice", n.ID), Thread: mime.Identity("notices", n.Thread),
		Headers: []render.Header{{Name: "X-Outbound-Notice", Value: string(n.Kind)}},
		Text:    render.NewNotice(n, s.Email.Location, console),
	})
	var ours *mime.SenderError
	if err != nil && !errors.As(err, &ours) {
		return nil, &addressError{err}
	}
	return l, err
}
