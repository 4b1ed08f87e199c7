package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/pause"
)

const (
	// storeLook is the pause between two looks whether the store answers, probeEvery that between two rounds of questions.
	storeLook  = 250 * time.Millisecond
	probeEvery = time.Second
	probeWait  = time.Second
	// storeSlowAfter is how long messages may wait while the broker answers none of them; storeMuteAfter is how long it may answer no
	// question while nothing waits.
	storeSlowAfter = 3 * time.Second
	storeMuteAfter = 4 * time.Second
)

// probed are the streams whose store is asked. A bucket lets nothing be deleted, so its store can't be asked without a write.
func probed() []string { return []string{names.StreamEvents, names.StreamHistory, names.StreamNotices} }

// brokerItself stands for what the embedded broker says of all its streams.
const brokerItself = ""

// everything is what may have a fault.
func everything() []string { return append(probed(), brokerItself) }

// StoreWatch watches whether the broker stores what it is given, for the connections of one process. nats-server answers nothing to a
// publish that it can't write, and refuses all later ones without an answer, so who publishes would learn it by a time-out alone.
type StoreWatch struct {
	main *Conn
	// changed is called with each new state, one call at a time. Nil: there is none.
	changed func(*StoreFault)

	mu    sync.Mutex
	conns []*Conn
	// byStream are the faults that the broker names, low is that of a disk with too little room for new events.
	byStream map[string]*StoreFault
	low      *StoreFault
	// slow says that the broker answers nothing, answered when it last answered a question.
	slow     *StoreFault
	answered time.Time
	// failing ends while nothing can be stored.
	failing     context.Context
	fail        context.CancelFunc
	said        *StoreFault
	replicated  map[string]bool
	replicaConn time.Time
}

// NewStoreWatch makes a watch that asks over a connection; Run starts it. changed, if not nil, is called with what is wrong at the start
// of Run and when that changes; nil: nothing is wrong.
func NewStoreWatch(main *Conn, changed func(*StoreFault)) *StoreWatch {
	w := &StoreWatch{main: main, changed: changed, byStream: map[string]*StoreFault{}, replicated: map[string]bool{}}
	w.failing, w.fail = context.WithCancel(context.Background())
	w.Attach(main)
	return w
}

// Attach has a connection know what the watch finds, and the watch what the connection's messages wait for.
func (w *StoreWatch) Attach(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	c.store.Store(w)
}

// Run watches until ctx ends.
func (w *StoreWatch) Run(ctx context.Context) error {
	w.mu.Lock()
	w.answered = time.Now()
	w.mu.Unlock()
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { w.ask(ctx) })
	tick := time.NewTicker(storeLook)
	defer tick.Stop()
	for first := true; ; first = false {
		w.look(time.Now())
		w.tell(first)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Low says that what is free on the broker's disk is kept for acknowledgements, records and changes of the configuration; nil: there is
// room for new events.
func (w *StoreWatch) Low(f *StoreFault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.low = f
}

// Reopened forgets the faults that end when the broker's store is opened again.
func (w *StoreWatch) Reopened() {
	w.mu.Lock()
	w.byStream, w.answered = map[string]*StoreFault{}, time.Now()
	w.mu.Unlock()
	w.look(time.Now())
}

// Err is what is wrong, with its reason; nil: nothing is.
func (w *StoreWatch) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.any(); f != nil {
		return fmt.Errorf("%s: %w", f.Reason, f)
	}
	return nil
}

// Broken is the fault that ends only when the broker's store is opened again; nil: there is none.
func (w *StoreWatch) Broken() *StoreFault {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken(everything()...)
}

// Report tells of a write error that the embedded broker names, of whichever stream; nil: there is none.
func (w *StoreWatch) Report(err error) {
	if err == nil {
		w.note(brokerItself, nil)
		return
	}
	w.note(brokerItself, writeFault(brokerItself, err.Error()))
}

func (w *StoreWatch) broken(streams ...string) *StoreFault {
	for _, s := range streams {
		if f := w.byStream[s]; f != nil {
			return f
		}
	}
	return nil
}

// intake is why no event can be accepted, records why no attempt can be recorded.
func (w *StoreWatch) intake() *StoreFault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.failed(); f != nil {
		return f
	}
	return w.low
}

func (w *StoreWatch) records() *StoreFault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.broken(names.StreamHistory, brokerItself); f != nil {
		return f
	}
	return w.slow
}

// failed is why what is under way to intake's streams is not stored.
func (w *StoreWatch) failed() *StoreFault {
	if f := w.broken(names.StreamEvents, names.StreamHistory, brokerItself); f != nil {
		return f
	}
	return w.slow
}

// any is the worst fault there is.
func (w *StoreWatch) any() *StoreFault {
	if f := w.broken(everything()...); f != nil {
		return f
	}
	if w.slow != nil {
		return w.slow
	}
	return w.low
}

// look compares the time since the broker's last answers with what is allowed.
func (w *StoreWatch) look(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	heard, stalled := w.answered, false
	for _, c := range w.conns {
		h, waits := c.ending.heard(now.Add(-storeSlowAfter))
		heard, stalled = latestOf(heard, h), stalled || waits
	}
	w.slow = nil
	switch {
	case !stalled && now.Sub(heard) <= storeMuteAfter:
	case !w.main.Connected():
		w.slow = &StoreFault{Reason: StoreSlow, Detail: "not connected to the broker"}
	case stalled && now.Sub(w.answered) <= storeMuteAfter:
		w.slow = &StoreFault{Reason: StoreSlow, Detail: "the broker responds, but has stored nothing of what it was given for " +
			storeSlowAfter.String()}
	default:
		w.slow = &StoreFault{Reason: StoreSlow, Detail: "the broker is not responding"}
	}
	w.signal()
}

// signal ends failing, or makes another, as the state is. The lock is held.
func (w *StoreWatch) signal() {
	switch bad := w.failed() != nil; {
	case bad:
		w.fail()
	case w.failing.Err() != nil:
		w.failing, w.fail = context.WithCancel(context.Background())
	}
}

// tell calls changed if there is something new to say.
func (w *StoreWatch) tell(first bool) {
	w.mu.Lock()
	f := w.any()
	same := !first && (f == nil) == (w.said == nil) && (f == nil || *f == *w.said)
	w.said = f
	w.mu.Unlock()
	if !same && w.changed != nil {
		w.changed(f)
	}
}

// ask asks for the stores one after the other, sooner if there is a fault.
func (w *StoreWatch) ask(ctx context.Context) {
	for {
		for _, stream := range probed() {
			w.probe(ctx, stream)
		}
		next := probeEvery
		if w.faulty() {
			next = storeLook
		}
		if !pause.For(ctx, next) {
			return
		}
	}
}

func (w *StoreWatch) faulty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.any() != nil
}

// probe asks the store of a stream. To delete a message that can't be there writes nothing; a store with a write error names that
// error instead of saying that there is none. A stream with replicas is only looked up, for its leader would have the request agreed on.
func (w *StoreWatch) probe(ctx context.Context, stream string) {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	subject, body := "$JS.API.STREAM.MSG.DELETE."+stream, fmt.Appendf(nil, `{"seq":%d,"no_erase":true}`, uint64(math.MaxUint64))
	replicated, err := w.isReplicated(ctx, stream)
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		w.note(stream, lasting(stream, "JetStream does not run"))
		return
	case err != nil:
		return
	}
	if replicated {
		subject, body = "$JS.API.STREAM.INFO."+stream, nil
	}
	m, err := w.main.NC.RequestWithContext(ctx, subject, body)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		w.note(stream, lasting(stream, "JetStream does not run"))
	case err == nil:
		w.note(stream, probeAnswer(stream, m.Data))
	}
}

// Error codes of the server in the answer to a probe. The first is that of every failed deletion.
const (
	codeDeleteFailed   = 10057
	codeNotEnabled     = 10076
	codeNotEnabledHere = 10039
)

// healthy reports whether a store without a write error says this to the deletion of a message that can't be there.
func healthy(text string) bool {
	return slices.Contains([]string{"stream store EOF", "no message found", "store is closed"}, text)
}

// probeAnswer is the fault that an answer to a probe names; nil: none.
func probeAnswer(stream string, data []byte) *StoreFault {
	var a pubAnswer
	_ = json.Unmarshal(data, &a) // what can't be read names no fault
	switch {
	case a.Error == nil:
	case a.Error.ErrorCode == codeNotEnabled, a.Error.ErrorCode == codeNotEnabledHere:
		return lasting(stream, a.Error.Description)
	case a.Error.ErrorCode == codeDeleteFailed && !healthy(a.Error.Description):
		return writeFault(stream, a.Error.Description)
	}
	return nil
}

// note keeps the answer about a stream.
func (w *StoreWatch) note(stream string, f *StoreFault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if stream != brokerItself {
		w.answered = time.Now()
	}
	if f == nil {
		delete(w.byStream, stream)
	} else {
		w.byStream[stream] = f
	}
	w.signal()
}

// isReplicated reports whether a stream has several replicas, and asks for that once a connection.
func (w *StoreWatch) isReplicated(ctx context.Context, stream string) (bool, error) {
	w.mu.Lock()
	if since := w.main.Since(); !since.Equal(w.replicaConn) {
		w.replicated, w.replicaConn = map[string]bool{}, since
	}
	known, ok := w.replicated[stream]
	w.mu.Unlock()
	if ok {
		return known, nil
	}
	s, err := w.main.JS.Stream(ctx, stream)
	if err != nil {
		return false, err
	}
	known = s.CachedInfo().Config.Replicas > 1
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replicated[stream] = known
	return known, nil
}

// StoreFault is why no event can be stored now; nil: nothing is known to be wrong, or nothing watches.
func (c *Conn) StoreFault() *StoreFault {
	if w := c.store.Load(); w != nil {
		return w.intake()
	}
	return nil
}

// Storable is why no record can be stored now; nil: nothing is known to be wrong, or nothing watches. That a disk has no room for new
// events is no reason.
func (c *Conn) Storable() error {
	if w := c.store.Load(); w != nil {
		if f := w.records(); f != nil {
			return f
		}
	}
	return nil
}

// StoreFailing ends when what is under way to the streams of intake is not stored. One that has ended stays so: ask for another.
func (c *Conn) StoreFailing() context.Context {
	if w := c.store.Load(); w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.failing
	}
	return context.Background()
}

// silence has all connections give up what is under way: the process ends, and one of them has found that it is of no use to wait.
func (w *StoreWatch) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.ending.silent()
	}
}

func latestOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
