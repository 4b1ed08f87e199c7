package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrNobody says that no process answers a question now.
var ErrNobody = errors.New("nobody answers")

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

var errBusy = errors.New("too many recipients are being examined: try again in a moment")

const (
	// headerFault holds what kept a question from being answered.
	headerFault = "Outbound-Fault"
	// answerers is the queue group of those who answer: each question goes to one of them.
	answerers = "outbound"
	// maxAnswers is how many questions one process answers at once.
	maxAnswers = 8
)

// AskDoctor asks one of the HTTP senders and reads its answer into answer. It waits until ctx ends; the error is ErrNobody if
// there is no sender.
func (c *Conn) AskDoctor(ctx context.Context, q DoctorQuestion, answer any) error {
	if deadline, ok := ctx.Deadline(); ok {
		q.Within = time.Until(deadline)
	}
	raw, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("write a question: %w", err)
	}
	m, err := c.nc.RequestWithContext(ctx, subjectDoctor, raw)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("ask on %s: %w", subjectDoctor, ErrNobody)
	case err != nil:
		return fmt.Errorf("ask on %s: %w", subjectDoctor, err)
	case m.Header.Get(headerFault) != "":
		return errors.New(m.Header.Get(headerFault))
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		return fmt.Errorf("read the answer on %s: %w", subjectDoctor, err)
	}
	return nil
}

// ServeDoctor answers such questions, several at once, until ctx ends. Those under way are answered before it returns, for which
// answer should heed its context.
func (c *Conn) ServeDoctor(ctx context.Context, answer func(context.Context, DoctorQuestion) (any, error)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxAnswers)
	sub, err := c.nc.QueueSubscribe(subjectDoctor, answerers, func(m *nats.Msg) {
		select {
		case slots <- struct{}{}:
		default:
			reply(m, nil, errBusy)
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			raw, err := examine(ctx, m.Data, answer)
			reply(m, raw, err)
		})
	})
	if err != nil {
		return fmt.Errorf("listen on %s: %w", subjectDoctor, err)
	}
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	<-ctx.Done()
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("leave %s: %w", subjectDoctor, err)
	}
	<-closed // no question comes any more
	return nil
}

func examine(ctx context.Context, question []byte, answer func(context.Context, DoctorQuestion) (any, error)) ([]byte, error) {
	var q DoctorQuestion
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, fmt.Errorf("read the question: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, q.Within)
	defer cancel()
	a, err := answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}

// reply answers a question. An answer that can't be sent is not waited for any more.
func reply(m *nats.Msg, raw []byte, err error) {
	out := nats.NewMsg(m.Reply)
	out.Data = raw
	if err != nil {
		out.Header.Set(headerFault, err.Error())
	}
	if err := m.RespondMsg(out); err != nil {
		slog.Warn("an answer was not sent", "subject", m.Subject, "error", err.Error())
	}
}
