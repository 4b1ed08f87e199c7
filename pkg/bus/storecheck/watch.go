package storecheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Watcher checks while a process runs that the store is the one that it was, and keeps the inventory.
type Watcher struct {
	conn   *wire.Conn
	keeper Keeper
	every  time.Duration
	board  *notice.Board
	log    *slog.Logger

	mu  sync.Mutex
	err error
	// seen is what the store held at the last look. Only Run uses it, and Open before.
	seen *Inventory
	// doubted is since when looks have found something; clustered says that the streams have replicas. Only Run uses them.
	doubted   time.Time
	clustered bool
}

// Options of a Watcher.
type Options struct {
	Conn *wire.Conn
	// Keeper keeps the inventory; nil: the process only remembers what it has seen.
	Keeper Keeper
	// Every is the pause between two looks.
	Every time.Duration
	// Notices take what is lost. Nil: nobody is told.
	Notices *notice.Board
	Logger  *slog.Logger
}

// NewWatcher returns a watcher.
func NewWatcher(o Options) *Watcher {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Watcher{conn: o.Conn, keeper: o.Keeper, every: o.Every, board: o.Notices, log: o.Logger}
}

// settleFor is how long something must be found in a cluster before it counts: a new leader knows less until it has read what it has
// stored.
const settleFor = 15 * time.Second

// Open makes the streams at a first start. It is wire.ErrDamaged, with all findings, if the store has lost something. A broker without a
// leader is waited for until ctx ends.
func (w *Watcher) Open(ctx context.Context, o wire.StreamOptions) error {
	began := time.Now()
	return wire.Await(ctx, w.conn, "the streams", func(ctx context.Context) error {
		err := w.open(ctx, o)
		if errors.Is(err, wire.ErrDamaged) && o.Replicas > 1 && time.Since(began) < settleFor {
			return fmt.Errorf("%w: %w", wire.ErrUnsettled, err)
		}
		return err
	})
}

func (w *Watcher) open(ctx context.Context, o wire.StreamOptions) error {
	known, err := w.keeper.Load(ctx)
	if err != nil {
		return err
	}
	if err := wire.RefuseUnfinishedRestore(ctx, w.conn); err != nil {
		return err
	}
	o.MustExist = o.MustExist || known != nil && len(known.Streams) > 0
	lost, err := w.conn.LostStreams(ctx, o)
	if err != nil {
		return err
	}
	if len(lost) == 0 {
		if err := w.conn.CreateStreams(ctx, o); err != nil {
			return err
		}
	}
	found, err := Check(ctx, w.conn, known)
	if err != nil {
		return err
	}
	for _, name := range lost {
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Stream == name && f.Missing }) {
			found = append(found, Finding{Stream: name, Text: title(name) + " is missing", Missing: true})
		}
	}
	if len(found) > 0 {
		return Damage(found)
	}
	w.seen = known
	return nil
}

// Damage is wire.ErrDamaged with what was found.
func Damage(found []Finding) error {
	texts := make([]string, 0, len(found))
	for _, f := range found {
		texts = append(texts, f.Text)
	}
	return fmt.Errorf("%w: %s", wire.ErrDamaged, strings.Join(texts, "; "))
}

// Err is what the store has lost while the process runs; nil: nothing.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// keyDamaged and keyRepaired are the keys of notices.
const (
	keyDamaged  = "store.damaged"
	keyRepaired = "store.repaired"
)

// Run looks at the store now and then, until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := w.look(ctx); err != nil && ctx.Err() == nil && w.conn.Connected() {
			w.log.DebugContext(ctx, "the store could not be checked, retrying", telemetry.KeyError, err.Error())
		}
		pause.For(ctx, w.every)
	}
	return nil
}

// lookTimeout bounds one look.
const lookTimeout = 5 * time.Second

func (w *Watcher) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	have, err := states(ctx, w.conn)
	if err != nil {
		return err
	}
	w.tell()
	if w.Err() != nil && w.repaired(ctx) {
		w.log.InfoContext(ctx, "the store was repaired")
	}
	found, err := unlessForgotten(ctx, w.conn, compare(have, w.seen))
	if err != nil {
		return err
	}
	if len(found) > 0 {
		if w.settled(have) {
			w.fail(Damage(found))
		}
		return nil
	}
	w.doubted = time.Time{}
	w.fail(nil)
	if len(have) < len(wire.StreamNames()) {
		return nil // not made yet
	}
	return w.keep(ctx, have)
}

// settled reports whether what is found counts. In a cluster it must have been found for a while.
func (w *Watcher) settled(have map[string]state) bool {
	for _, s := range have {
		w.clustered = w.clustered || s.replicas > 1
	}
	if w.doubted.IsZero() {
		w.doubted = time.Now()
	}
	return !w.clustered || time.Since(w.doubted) >= settleFor
}

// repaired reports whether somebody has repaired the store since it was last looked at.
func (w *Watcher) repaired(ctx context.Context) bool {
	if w.keeper == nil {
		return false
	}
	now, err := w.keeper.Load(ctx)
	if err != nil || now == nil || w.seen != nil && len(now.Repairs) <= len(w.seen.Repairs) {
		return false
	}
	w.seen = now
	return true
}

func (w *Watcher) tell() {
	w.board.Set(keyRepaired, strings.Join(w.seen.Told(time.Now()), " "))
}

func (w *Watcher) fail(err error) {
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error() + ". No event is accepted and nothing is made in its place: restore a backup or run outbound repair."
	}
	w.board.Set(keyDamaged, text)
}

// keep notes what the store holds, if that has changed.
func (w *Watcher) keep(ctx context.Context, have map[string]state) error {
	next := Inventory{Streams: map[string]Mark{}}
	if w.seen != nil {
		next.Repairs = w.seen.Repairs
	}
	for name, s := range have {
		if w.seen != nil {
			s.Holes = w.seen.Streams[name].Holes
		}
		next.Streams[name] = s.Mark
	}
	if _, is := w.keeper.(Bucket); is {
		// To write the inventory there changes that stream itself.
		own := next.Streams[wire.BucketStream(names.BucketStatus)]
		own.Last, own.Messages, own.First = 0, 0, 0
		next.Streams[wire.BucketStream(names.BucketStatus)] = own
	}
	if w.seen != nil && maps.Equal(next.Streams, w.seen.Streams) {
		return nil
	}
	if w.keeper != nil {
		if err := onDisk(w.conn, next.Streams); err != nil {
			return err
		}
		if err := w.saveBeside(ctx, &next); err != nil {
			return err
		}
	}
	w.seen = &next
	return nil
}

// onDisk has what an inventory tells of reach the disk before the inventory does, for it would tell of a loss after a power loss.
func onDisk(c *wire.Conn, streams map[string]Mark) error {
	for name, m := range streams {
		if err := c.Synced(name, m.Last); err != nil {
			return fmt.Errorf("note what stream %s holds: %w", name, err)
		}
	}
	return nil
}

// saveBeside saves the inventory, unless a repair or its confirmation was noted by another process meanwhile.
func (w *Watcher) saveBeside(ctx context.Context, next *Inventory) error {
	now, err := w.keeper.Load(ctx)
	if err != nil {
		return err
	}
	if now != nil {
		next.Repairs = now.Repairs
	}
	return w.keeper.Save(ctx, *next)
}
