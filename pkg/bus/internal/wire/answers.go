package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// answers publishes messages one by one and awaits the broker's answers over one inbox. The client library's own way makes a
// future, two channels and a map entry for each message, and its answers pass through one more goroutine.
type answers struct {
	conn  *Conn
	inbox string
	in    chan *nats.Msg
	sub   *nats.Subscription
	// next numbers the messages over all rounds, so that an answer that comes late is not taken for another's.
	next uint64
}

// connCheck is the pause between two looks at whether the connection still is the one that the messages went over.
const connCheck = 250 * time.Millisecond

func newAnswers(c *Conn) *answers {
	return &answers{conn: c, inbox: c.NC.NewInbox(), in: make(chan *nats.Msg, 2*maxGroup)}
}

// open subscribes to the answers, if that is not done yet.
func (a *answers) open() (err error) {
	if a.sub == nil {
		a.sub, err = a.conn.NC.ChanSubscribe(a.inbox+".*", a.in)
	}
	return err
}

func (a *answers) close() {
	if a.sub != nil {
		// The only error is that the connection has gone.
		_ = a.sub.Unsubscribe()
	}
}

// publish publishes all messages, then waits for the answers. It calls stored for what was stored and gives an error for each of
// the others; nil stands for what was stored. It waits no longer than ctx.
func (a *answers) publish(ctx context.Context, group []*Post, stored func(int, Receipt)) []error {
	errs := make([]error, len(group))
	since, first := a.conn.since.Load(), a.next
	a.next += uint64(len(group))
	open := 0
	for i, p := range group {
		if errs[i] = a.send(p, first+uint64(i)); errs[i] == nil {
			errs[i] = errUnknown
			open++
		}
	}
	timeout := time.NewTimer(AckTimeout)
	defer timeout.Stop()
	look := time.NewTicker(connCheck)
	defer look.Stop()
	for open > 0 {
		select {
		case m := <-a.in:
			i, ok := a.number(m, first, len(group))
			if !ok || !errors.Is(errs[i], errUnknown) {
				continue
			}
			var r Receipt
			if r, errs[i] = receipt(m); errs[i] == nil {
				stored(i, r)
			}
			open--
		case <-look.C:
			if a.conn.since.Load() != since {
				return errs // what was asked over the last connection is not answered over this one
			}
		case <-timeout.C:
			return errs
		case <-ctx.Done():
			return errs
		}
	}
	return errs
}

func (a *answers) send(p *Post, number uint64) error {
	if err := a.open(); err != nil {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	for _, h := range []string{headerBatchID, headerBatchSequence, headerBatchCommit} {
		delete(p.Msg.Header, h)
	}
	m := *p.Msg
	m.Reply = a.inbox + "." + strconv.FormatUint(number, 10)
	if err := a.conn.NC.PublishMsg(&m); err != nil {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	return nil
}

// number is which of the messages from first an answer is about; false if about none of them.
func (a *answers) number(m *nats.Msg, first uint64, n int) (int, bool) {
	if len(m.Subject) <= len(a.inbox) {
		return 0, false
	}
	at, err := strconv.ParseUint(m.Subject[len(a.inbox)+1:], 10, 64)
	if err != nil || at < first || at-first >= uint64(n) {
		return 0, false
	}
	return int(at - first), true
}

// pubAnswer is what the broker answers to a publish.
type pubAnswer struct {
	Sequence  uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"code"`
		ErrorCode   int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// readAnswer reads an answer; false: it is none, as when nobody listens for the stream.
func readAnswer(m *nats.Msg) (pubAnswer, bool) {
	if seq, ok := plainAnswer(m.Data); ok {
		return pubAnswer{Sequence: seq}, true
	}
	var a pubAnswer
	if json.Unmarshal(m.Data, &a) != nil || a.Sequence == 0 && a.Error == nil {
		return pubAnswer{}, false
	}
	return a, true
}

// plainAnswer reads the answer that nearly all are, `{"stream":"…","seq":7}`, without the cost of a decoder. False: it is another.
func plainAnswer(data []byte) (sequence uint64, ok bool) {
	_, rest, found := bytes.Cut(data, []byte(`,"seq":`))
	digits, end := bytes.CutSuffix(rest, []byte("}"))
	if !found || !end || !bytes.HasPrefix(data, []byte(`{"stream":"`)) || len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		sequence = sequence*10 + uint64(c-'0')
	}
	return sequence, sequence > 0
}

// receipt is what an answer says of one message.
func receipt(m *nats.Msg) (Receipt, error) {
	a, ok := readAnswer(m)
	switch {
	case !ok:
		return Receipt{}, fmt.Errorf("%w: no stream stores %s, or the response can't be decoded", errUnknown, m.Subject)
	case a.Error == nil:
		return Receipt{Sequence: a.Sequence, Duplicate: a.Duplicate}, nil
	}
	said := fmt.Sprintf("%s (%d)", a.Error.Description, a.Error.ErrorCode)
	switch {
	case a.Error.ErrorCode == codeStreamFull, a.Error.ErrorCode == codeStorageExceeded, a.Error.ErrorCode == codeAccountExceeded:
		return Receipt{}, ErrFull
	case a.Error.ErrorCode == codeWrongSequence, a.Error.ErrorCode == codeWrongSequenceConstant:
		return Receipt{}, fmt.Errorf("%w: %s", ErrConflict, said)
	case a.Error.ErrorCode == codeMessageTooLarge:
		return Receipt{}, fmt.Errorf("the message is too large for its stream: %s", said)
	case a.Error.Code == 503:
		return Receipt{}, fmt.Errorf("%w: %s", errUnknown, said)
	default:
		return Receipt{}, fmt.Errorf("the broker refused: %s", said)
	}
}
