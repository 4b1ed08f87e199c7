package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// ErrNobody says that no process answers a question now.
var ErrNobody = errors.New("no responders")

// DoctorQuestion asks an HTTP sender to walk the way to a recipient.
type DoctorQuestion struct {
	Recipient string `json:"recipient"`
	// StartSequence and Revision say which state of the recipient is meant; the sender waits until it knows it.
	StartSequence uint64 `json:"startSequence"`
	Revision      uint64 `json:"revision"`
	// Post has a test event posted.
	Post bool `json:"post,omitempty"`
	// Within is how long the asker waits.
	Within time.Duration `json:"within"`
}

// TestMailQuestion asks an email sender to send a test mail to each address at once.
type TestMailQuestion struct {
	To []string `json:"to"`
	// Actor is who asked for it; it stands in the mail.
	Actor string `json:"actor"`
	// Etag says which state of the relay's settings is meant; the sender waits until it knows it.
	Etag string `json:"etag"`
	// Within is how long the asker waits.
	Within time.Duration `json:"within"`
}

// TestMailResult is what became of the mail to one address.
type TestMailResult struct {
	Address  string `json:"address"`
	Accepted bool   `json:"accepted"`
	// Code is the relay's, if it answered.
	Code int `json:"code,omitempty"`
	// Detail says in words what happened.
	Detail string `json:"detail"`
}

var errBusy = errors.New("too many such requests are in progress: try again in a moment")

const (
	// headerFault holds what kept a question from being answered.
	headerFault = "Outbound-Fault"
	// answerers is the queue group of those who answer: each question goes to one of them.
	answerers = "outbound"
	// maxAnswers is how many questions one process answers at once.
	maxAnswers = 8
	// longestAnswer is how long an asker without a deadline is taken to wait.
	longestAnswer = time.Minute
)

// AskDoctor asks one of the HTTP senders to check the connection to a recipient and returns its report. It waits until ctx ends; the
// error is ErrNobody if there is no sender.
func (c Client) AskDoctor(ctx context.Context, q DoctorQuestion) (report egress.Report, err error) {
	q.Within = within(ctx)
	err = c.ask(ctx, names.SubjectDoctor, q, &report)
	return report, err
}

// ServeDoctor answers such questions, several at once, until ctx ends. Those under way are answered before it returns, for which
// answer should heed its context.
func (c Client) ServeDoctor(ctx context.Context, answer func(context.Context, DoctorQuestion) (egress.Report, error)) error {
	return serve(ctx, c.conn, names.SubjectDoctor, func(ctx context.Context, q DoctorQuestion) (egress.Report, error) {
		ctx, cancel := context.WithTimeout(ctx, q.Within)
		defer cancel()
		return answer(ctx, q)
	})
}

// AskTestMail asks one of the email senders to send test mails, as AskDoctor asks, and returns a result for each address.
func (c Client) AskTestMail(ctx context.Context, q TestMailQuestion) (results []TestMailResult, err error) {
	q.Within = within(ctx)
	err = c.ask(ctx, names.SubjectTestMail, q, &results)
	return results, err
}

// ServeTestMail answers such questions, as ServeDoctor answers.
func (c Client) ServeTestMail(ctx context.Context, answer func(context.Context, TestMailQuestion) ([]TestMailResult, error)) error {
	return serve(ctx, c.conn, names.SubjectTestMail, func(ctx context.Context, q TestMailQuestion) ([]TestMailResult, error) {
		ctx, cancel := context.WithTimeout(ctx, q.Within)
		defer cancel()
		return answer(ctx, q)
	})
}

// within is how long the asker waits.
func within(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return longestAnswer
	}
	return time.Until(deadline)
}

// ask asks one of those who answer on a subject.
func (c Client) ask(ctx context.Context, subject string, question, answer any) error {
	raw, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode a request: %w", err)
	}
	m, err := c.conn.NC.RequestWithContext(ctx, subject, raw)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("request on %s: %w", subject, ErrNobody)
	case err != nil:
		return fmt.Errorf("request on %s: %w", subject, err)
	case m.Header.Get(headerFault) != "":
		return errors.New(m.Header.Get(headerFault))
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		return fmt.Errorf("decode the response on %s: %w", subject, err)
	}
	return nil
}

// serve answers the questions on a subject. Each goes to one process of those that answer.
func serve[Q, A any](ctx context.Context, c *wire.Conn, subject string, answer func(context.Context, Q) (A, error)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxAnswers)
	sub, err := c.NC.QueueSubscribe(subject, answerers, func(m *nats.Msg) {
		select {
		case slots <- struct{}{}:
		default:
			reply(c, m, nil, errBusy)
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			raw, err := examine(ctx, m.Data, answer)
			reply(c, m, raw, err)
		})
	})
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	<-ctx.Done()
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("unsubscribe from %s: %w", subject, err)
	}
	<-closed // no question comes any more
	return nil
}

func examine[Q, A any](ctx context.Context, question []byte, answer func(context.Context, Q) (A, error)) ([]byte, error) {
	var q Q
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, fmt.Errorf("decode the request: %w", err)
	}
	a, err := answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

// reply answers a question. An answer that can't be sent is not waited for any more.
func reply(c *wire.Conn, m *nats.Msg, raw []byte, err error) {
	out := nats.NewMsg(m.Reply)
	out.Data = raw
	if err != nil {
		out.Header.Set(headerFault, err.Error())
	}
	if err := m.RespondMsg(out); err != nil {
		c.Logger.Warn("response not sent", logkey.Subject, m.Subject, telemetry.KeyError, err.Error())
	}
}
