package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// How groups are made. Measured with fsync on: 64 publishers 2.6 to 4 times, 256 publishers 6 to 9.5 times the rate of
// sequential publishes; single publishes beside a batch are held up by it, so there are none. For each batch the broker makes a
// folder of files, which costs it about as much as 50 messages do, so few large batches are cheap and many small ones are dear.
const (
	// maxGroup is as many as the broker takes in a batch.
	maxGroup = 1000
	minGroup = 16
	// eventWait is how long a committer of events waits at most while more come: publishers that were just answered come again
	// at once. It waits only if something waits beside the first, and no longer than more come.
	eventWait = 4 * time.Millisecond
	eventStep = 500 * time.Microsecond
	// recordWait is how long records wait, if there are several. Their deliveries are settled after it, and a recipient with a
	// strict order gets its next event then. For intake records nobody waits.
	recordWait = 25 * time.Millisecond
	recordStep = 2500 * time.Microsecond
	intakeWait = 50 * time.Millisecond
	queueSize  = 8192
	AckTimeout = 5 * time.Second
	// repeatWait is the pause before a publish whose result is unknown is repeated with the same message id.
	repeatWait = 250 * time.Millisecond
	// repeatFor is how long an event is repeated before the caller is told that it failed. It stays within the de-duplication window.
	// Records are repeated as long as the process runs; after that time they are looked for before.
	repeatFor = time.Minute
)

// Headers of atomic batches (ADR-50 of nats-architecture-and-design); nats.go has no batch publisher.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// Error codes of the server that decide what happens to a batch.
const (
	codeStreamFull        = 10077
	codeMessageTooLarge   = 10054
	codeStorageExceeded   = 10047
	codeAccountExceeded   = 10023
	codeBatchDuplicate    = 10201
	codeBatchIncomplete   = 10176
	codeBatchTooManyOpen  = 10210
	codeBatchTooManyInAll = 10211
	// A message was to follow another one, and does not.
	codeWrongSequence         = int(jetstream.JSErrCodeStreamWrongLastSequence)
	codeWrongSequenceConstant = int(jetstream.JSErrCodeStreamWrongLastSequenceConstant)
)

// ErrFull says that the stream refuses: it is full. Nothing was dropped; the publisher keeps the event and tries later.
var ErrFull = errors.New("the stream is full")

// ErrClosed says that the publisher was closed.
var ErrClosed = errors.New("closed")

// ErrGivenUp says that a message is not waited for any more: the process ends, and the broker does not answer. Whether it was stored
// is not known.
var ErrGivenUp = errors.New("aborted: the process is stopping and the broker does not respond")

// Receipt is where a message was stored.
type Receipt struct {
	// Sequence in the stream; for a duplicate the first one's.
	Sequence uint64
	// Duplicate says that a message with this id had been stored before.
	Duplicate bool
}

// Committer publishes to one stream: what waits is written as one atomic batch, one batch at a time, or singly when few
// wait or the broker does not sync each write. A result that is unknown (broker away, no answer) leads to a repeat with the same
// message id.
type Committer struct {
	conn    *Conn
	stream  string
	wait    BatchWait
	answers *answers
	in      chan *Post
	// repeatFor is how long a message is repeated; 0: as long as the process runs.
	repeatFor time.Duration

	mu      sync.RWMutex
	closed  bool
	stopped chan struct{}
	// ctx ends when nothing is waited for any more, heard is when the broker last answered, in nanoseconds of the
	// connection's monotonic time.
	ctx    context.Context
	giveUp context.CancelFunc
	heard  atomic.Int64
	// busy is since when messages wait, if any do, in nanoseconds of the same time.
	busy atomic.Int64
	// pending is how many messages have no answer yet, gone how many were given up.
	pending, gone atomic.Int64
	// urgent is how many messages in the queue somebody waits for. company is told when one comes, or closing is set: none will.
	urgent  atomic.Int64
	company chan struct{}
	closing atomic.Bool
	// chain links the messages; nil: they are not linked.
	chain *chain.Writer
}

// NewCommitter starts a committer of a stream, which repeats a message for so long; 0: as long as the process runs.
func NewCommitter(c *Conn, stream string, l BatchWait, repeat time.Duration) *Committer {
	if c.relaxed { // no batches: there is nothing to gain but one write to the broker for several messages
		l.longest, l.background = l.step, l.step
	} else if c.Disk != nil {
		l = l.synced()
	}
	k := &Committer{
		conn: c, stream: stream, wait: l, repeatFor: repeat, answers: newAnswers(c), in: make(chan *Post, queueSize),
		stopped: make(chan struct{}), company: make(chan struct{}, 1),
	}
	k.ctx, k.giveUp = context.WithCancel(c.ending.ctx)
	if l.linked {
		k.chain = chain.NewWriter()
	}
	c.ending.add(k)
	go k.run()
	return k
}

// Publish queues a message; done is called once, from the committer's goroutine, and must not block. It blocks while the
// queue is full.
func (k *Committer) Publish(m *nats.Msg, done func(Receipt, error)) {
	k.Put(&Post{Msg: m, Since: time.Now(), Done: done})
}

// Put queues a message.
func (k *Committer) Put(p *Post) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		p.Done(Receipt{}, ErrClosed)
		return
	}
	if k.pending.Add(1) == 1 {
		k.busy.Store(int64(k.conn.clock.elapsed()))
	}
	done := p.Done
	p.Done = func(r Receipt, err error) {
		k.pending.Add(-1)
		p.ours = err == nil && !r.Duplicate
		done(r, err)
	}
	k.queued(p)
	select {
	case k.in <- p:
		k.tell()
	case <-k.ctx.Done():
		k.took(p)
		k.leave(p)
	}
}

// Close waits until all that was queued has its answer, as long as the broker gives any.
func (k *Committer) Close() {
	asked := time.Now()
	k.closing.Store(true)
	k.tell()
	silence := time.NewTicker(silentLook)
	defer silence.Stop()
	go k.shut()
	for {
		select {
		case <-k.stopped:
			return
		case <-silence.C:
			if k.silent(asked) {
				k.giveUp()
			}
		}
	}
}

// silent reports whether messages wait, and the broker has answered none for a while.
func (k *Committer) silent(since time.Time) bool {
	return k.pending.Load() > 0 && time.Since(latestOf(since, k.lastHeard())) > silentAfter
}

// lastHeard is when the broker last answered; before the first answer it is when the connection was made.
func (k *Committer) lastHeard() time.Time { return k.conn.clock.moment(time.Duration(k.heard.Load())) }

// stalled reports whether messages have waited since before a time without any answer after it.
func (k *Committer) stalled(before time.Time) bool {
	return k.pending.Load() > 0 && k.conn.clock.moment(time.Duration(max(k.busy.Load(), k.heard.Load()))).Before(before)
}

// shut takes nothing more. It waits for those whose message finds the queue full.
func (k *Committer) shut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.closed = true
		close(k.in)
	}
}

func (k *Committer) run() {
	defer close(k.stopped)
	defer k.conn.ending.remove(k)
	defer k.giveUp()
	defer k.answers.close()
	for p := range k.in {
		group := k.gather(p)
		k.link(group)
		k.resolve(group)
		k.linked(group)
	}
	if n := k.gone.Load(); n > 0 {
		k.conn.Logger.Warn("messages discarded: the process is stopping and the broker does not respond", telemetry.KeyStream, k.stream,
			logkey.Messages, n)
	}
}

// leave gives a message up.
func (k *Committer) leave(p *Post) {
	k.gone.Add(1)
	p.Done(Receipt{}, ErrGivenUp)
}

// resolve publishes a group until each message has a definite answer, or is given up.
func (k *Committer) resolve(group []*Post) {
	if len(group) >= minGroup && !k.conn.relaxed && k.conn.Disk == nil && k.ctx.Err() == nil {
		err := k.batch(group)
		if err == nil {
			return
		}
		if !errors.Is(err, errUnknown) && !errors.Is(err, errSingly) {
			for _, p := range group {
				p.Done(Receipt{}, err)
			}
			return
		}
		if errors.Is(err, errUnknown) {
			for _, p := range group {
				p.repeat()
			}
		}
	}
	for len(group) > 0 && k.ctx.Err() == nil {
		if group = k.singly(group); len(group) > 0 {
			k.rest(repeatWait)
			group = k.missing(group)
		}
	}
	for _, p := range group {
		k.leave(p)
	}
}

// rest waits, unless nothing is waited for any more.
func (k *Committer) rest(d time.Duration) {
	pause.For(k.ctx, d)
}

// missing are the messages that are to be repeated. One whose message id the stream may have forgotten is looked for first.
func (k *Committer) missing(group []*Post) []*Post {
	for {
		var asked error
		group = slices.DeleteFunc(group, func(p *Post) bool {
			if p.Stored == nil || asked != nil || time.Since(p.Since) < k.conn.RepeatFor {
				return false
			}
			found, err := p.Stored(k.ctx)
			if asked = err; found {
				p.Done(Receipt{Duplicate: true}, nil)
			}
			return found
		})
		if asked == nil || k.ctx.Err() != nil {
			return group
		}
		k.rest(repeatWait)
	}
}

// errUnknown says that a publish has no definite result; errSingly that the batch was refused as a whole for a reason that
// does not hold for each of its messages.
var (
	errUnknown = errors.New("result unknown")
	errSingly  = errors.New("refused as a batch")
)

// batch writes a group as one atomic batch and awaits the commit's answer alone. Sequences in a batch are consecutive.
func (k *Committer) batch(group []*Post) error {
	id := nuid.Next()
	last := len(group) - 1
	for i, p := range group {
		p.Msg.Header.Set(headerBatchID, id)
		p.Msg.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		if i == last {
			p.Msg.Header.Set(headerBatchCommit, "1")
			break
		}
		if err := k.conn.NC.PublishMsg(p.Msg); err != nil {
			return errUnknown
		}
	}
	ctx, cancel := context.WithTimeout(k.ctx, AckTimeout)
	defer cancel()
	reply, err := k.conn.NC.RequestMsgWithContext(ctx, group[last].Msg)
	if err != nil {
		return errUnknown
	}
	a, ok := readAnswer(reply)
	if !ok {
		return errUnknown
	}
	k.heard.Store(int64(k.conn.clock.elapsed()))
	if a.Error != nil {
		return batchError(a.Error.ErrorCode, a.Error.Description)
	}
	first := a.Sequence - uint64(last)
	for i, p := range group {
		p.Done(Receipt{Sequence: first + uint64(i)}, nil)
	}
	return nil
}

func batchError(code int, text string) error {
	switch code {
	case codeStreamFull, codeStorageExceeded, codeAccountExceeded, codeBatchDuplicate, codeBatchIncomplete, codeBatchTooManyOpen,
		codeBatchTooManyInAll, codeMessageTooLarge:
		return errSingly
	default:
		return fmt.Errorf("%w: %s (%d)", errSingly, text, code)
	}
}

// singly publishes each message by itself, all before the first answer, and returns those whose result is unknown and that may
// be repeated.
func (k *Committer) singly(group []*Post) (again []*Post) {
	for i, err := range k.publish(group) {
		p := group[i]
		if !errors.Is(err, errUnknown) {
			k.heard.Store(int64(k.conn.clock.elapsed()))
		}
		if err == nil {
			continue
		}
		if errors.Is(err, errUnknown) && (k.repeatFor == 0 || time.Since(p.Since) < k.repeatFor) {
			p.repeat()
			again = append(again, p)
			continue
		}
		p.Done(Receipt{}, err)
	}
	return again
}
