package allinone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Disk is how much space is kept free on the disk of the data folder, in bytes.
type Disk struct {
	// WarnBelow is when a notice says that space is low. 0: a tenth of the disk, at most 10 GiB.
	WarnBelow uint64 `yaml:"warnBelow"`
	// Reserve is when new events are refused, so that acknowledgements, records and changes of the configuration still fit. 0: a
	// sixteenth of the disk, 16 to 256 MiB.
	Reserve uint64 `yaml:"reserve"`
}

const (
	// spaceEvery is the pause between two looks at the free space, errorEvery that between two questions for write errors.
	spaceEvery = 250 * time.Millisecond
	errorEvery = time.Second
	// reopenFirst is the pause before the store is opened a second time; it doubles up to reopenMost.
	reopenFirst = 5 * time.Second
	reopenMost  = time.Minute
)

// The keys of notices.
const (
	noticeStore  = "store"
	noticeDisk   = "disk"
	noticeLimits = "disk.limits"
)

// storeKeeper watches the disk of the embedded broker. It has new events refused before the disk is full, and opens the store again after
// a write error, once the disk takes what is written.
type storeKeeper struct {
	broker  *embed.Server
	watch   *bus.StoreWatch
	notices *notice.Board
	log     *slog.Logger
	dir     string
	disk    Disk
	free    telemetry.Level

	// short says that only the reserve is left.
	short bool
	// mending is the goroutine that opens the store again, busy is held by it.
	mending sync.WaitGroup
	busy    sync.Mutex
	next    time.Time
	pause   time.Duration
}

// keepStore makes the watch of the broker's store and the task that keeps it.
func (r *runtime) keepStore(core *bus.Conn) {
	dir := filepath.Join(r.o.Data, folderBroker)
	writable := r.telemetry.StoreWritable()
	r.store = bus.NewStoreWatch(core, func(f *bus.StoreFault) {
		r.notices.Set(noticeStore, storeNotice(f, dir))
		writable.Set(telemetry.Truth(f == nil))
	})
	k := &storeKeeper{broker: r.broker, watch: r.store, notices: r.notices, log: r.telemetry.Logger, dir: dir, disk: r.o.Disk,
		free: r.telemetry.DiskFree(), pause: reopenFirst}
	k.checkLimits(r.o.Streams)
	k.space()
	r.group.Add("store", k.run)
	r.group.Add("store watch", r.store.Run)
}

// storeNotice says what is wrong with the store and what to do; empty: nothing is wrong.
func storeNotice(f *bus.StoreFault, dir string) string {
	switch {
	case f == nil:
		return ""
	case f.Lasts:
		return fmt.Sprintf("Events are refused (%s): %v. Make room on the disk of %s, or repair it. The store is then opened again by itself.",
			f.Reason, f, dir)
	case f.Reason == bus.StoreSlow:
		return fmt.Sprintf("Events are refused (%s): %v. Check the disk of %s.", f.Reason, f, dir)
	default:
		return fmt.Sprintf("Events are refused (%s): %v. Make room on the disk of %s. Events are then accepted by themselves.", f.Reason, f, dir)
	}
}

// checkLimits says that the streams may grow beyond the disk.
func (k *storeKeeper) checkLimits(o bus.StreamOptions) {
	space, err := k.broker.Space()
	limit := uint64(max(o.EventsMaxBytes, 0)) + uint64(max(o.HistoryMaxBytes, 0)) + uint64(max(o.AuditMaxBytes, 0))
	if err == nil && limit > space.Total {
		k.notices.Set(noticeLimits, fmt.Sprintf("The streams may grow to %d MiB, but the disk of %s has %d MiB. Lower "+
			"streams.eventsMaxBytes, streams.historyMaxBytes and streams.auditMaxBytes, or provide a larger disk.",
			limit>>20, k.dir, space.Total>>20))
	}
}

// run watches until ctx ends.
func (k *storeKeeper) run(ctx context.Context) error {
	defer k.mending.Wait()
	tick := time.NewTicker(spaceEvery)
	defer tick.Stop()
	for asked := (time.Time{}); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		k.space()
		if time.Since(asked) < errorEvery {
			continue
		}
		asked = time.Now()
		// While the store is opened again, its errors are not those that count.
		if k.busy.TryLock() {
			k.look(ctx, asked)
		}
	}
}

// look asks the broker for write errors and has the store opened again if it is due. It is called with busy held.
func (k *storeKeeper) look(ctx context.Context, now time.Time) {
	k.watch.Report(k.broker.StoreError())
	broken := k.watch.Broken()
	if broken == nil || k.short || now.Before(k.next) {
		if broken == nil && now.Sub(k.next) > reopenMost {
			k.pause = reopenFirst
		}
		k.busy.Unlock()
		return
	}
	k.mending.Go(func() {
		defer k.busy.Unlock()
		k.reopen(ctx)
	})
}

// reopen opens the store again if the disk takes what is written.
func (k *storeKeeper) reopen(ctx context.Context) {
	if err := k.broker.Writable(); err != nil || ctx.Err() != nil {
		return
	}
	k.next = time.Now().Add(k.pause)
	k.pause = min(2*k.pause, reopenMost)
	k.log.WarnContext(ctx, "opening the store again after a write error", logkey.Folder, k.dir)
	switch err := k.broker.Reopen(); {
	case errors.Is(err, embed.ErrEnded):
	case err != nil:
		k.log.ErrorContext(ctx, "store not opened", telemetry.KeyError, err.Error())
		k.watch.Report(err)
	default:
		k.watch.Reopened()
		k.log.InfoContext(ctx, "store opened again", logkey.Folder, k.dir)
	}
}

// space looks at the free space, and has new events refused while only the reserve is left.
func (k *storeKeeper) space() {
	x, err := k.broker.Space()
	if err != nil {
		return // there is no such figure on this system
	}
	k.free.Set(float64(x.Free))
	bounds := x.Bounds(k.disk.WarnBelow, k.disk.Reserve)
	short := x.Short(bounds, k.short)
	if k.short = short != ""; k.short {
		k.watch.Low(&bus.StoreFault{Reason: bus.StoreFull, Detail: "the disk is nearly full: " + short})
		k.notices.Clear(noticeDisk) // the store's notice says more
		return
	}
	k.watch.Low(nil)
	text := ""
	if low := x.Low(bounds); low != "" {
		text = fmt.Sprintf("The disk of %s is nearly full: %s. Make room: when less than %d MiB or %d inodes are free, events are refused "+
			"(%s).", k.dir, low, bounds.Reserve>>20, bounds.ReserveInodes, bus.StoreFull)
	}
	k.notices.Set(noticeDisk, text)
}
