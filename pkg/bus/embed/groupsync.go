package embed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Disk makes durable what the broker has written, once for a group of messages. The broker writes a message to its block file before it
// acknowledges it (one replica, default persist mode), so one fdatasync of the files that grew makes all of them durable. It is what
// bus.Options.Disk asks for. See ADR 0015.
type Disk struct {
	streams string
	// encrypted says that each block file has a file with its key beside it.
	encrypted bool

	mu  sync.Mutex
	all map[string]*blocks

	syncs atomic.Uint64
	// failed holds the first error of a sync. After it nothing is known of what is on disk: the system may have dropped what it could not
	// write (fsync(2)), so that a later sync that succeeds proves nothing. doubtful are the paths of the files that could not be synced.
	failed   atomic.Pointer[error]
	doubtful map[string]bool
	fsync    func(*os.File) error
}

func newDisk(o Options) *Disk {
	d := &Disk{streams: filepath.Join(o.StoreDir, "jetstream", coreAccount, "streams"), all: map[string]*blocks{}, doubtful: map[string]bool{},
		fsync: o.Sync, encrypted: o.Key != ""}
	if d.fsync == nil {
		d.fsync = dataSync
	}
	return d
}

// Syncs is how often files were synced since the start.
func (d *Disk) Syncs() uint64 { return d.syncs.Load() }

// Err is why nothing can be made durable any more until the store is opened again; nil: it can.
func (d *Disk) Err() error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Sync returns once all messages of a stream up to a sequence, which the broker has acknowledged or handed out, are on disk. Calls that
// wait for one another share a sync.
func (d *Disk) Sync(stream string, sequence uint64) error {
	return d.blocks(stream).upTo(sequence)
}

// awaitSync is how long a reader waits for the sync of a writer before it syncs itself: a writer syncs within a group's time.
const awaitSync = 50 * time.Millisecond

// Await returns once the messages of a stream up to a sequence are on disk, or ctx ends. It gives who has written them the time to sync.
func (d *Disk) Await(ctx context.Context, stream string, sequence uint64) error {
	return d.blocks(stream).await(ctx, sequence)
}

// SyncConsumer makes durable that a consumer exists, and as what. One that is gone is no error.
func (d *Disk) SyncConsumer(stream, consumer string) error {
	dir := filepath.Join(d.streams, stream, "obs")
	return d.syncTree(dir, filepath.Join(dir, consumer))
}

// SyncStreams makes durable that the streams exist, and as what.
func (d *Disk) SyncStreams() error { return d.syncTree(filepath.Dir(d.streams), d.streams) }

// syncTree syncs all files below a directory, their directories, and the parent.
func (d *Disk) syncTree(parent, dir string) error {
	if err := d.Err(); err != nil {
		return err
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return d.syncPath(path)
	})
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = d.syncPath(parent)
	}
	return err
}

// syncPath syncs a file or directory by name. One that is gone is no error: the broker replaces and removes its files.
func (d *Disk) syncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	return d.sync(f)
}

func (d *Disk) sync(f *os.File) error {
	d.syncs.Add(1)
	if err := d.fsync(f); err != nil {
		err = fmt.Errorf("sync %s to disk: %w", f.Name(), err)
		d.mu.Lock()
		d.doubtful[f.Name()] = true
		d.mu.Unlock()
		d.failed.CompareAndSwap(nil, &err)
		return err
	}
	return nil
}

func (d *Disk) blocks(stream string) *blocks {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.all[stream]
	if b == nil {
		b = &blocks{disk: d, dir: filepath.Join(d.streams, stream, "msgs"), moved: make(chan struct{})}
		d.all[stream] = b
	}
	return b
}

// close closes all files. The next sync of a stream finds them anew.
func (d *Disk) close() {
	d.mu.Lock()
	all := slices.Collect(maps.Values(d.all))
	d.mu.Unlock()
	for _, b := range all {
		b.forget()
	}
}

// reset has Disk begin anew on the files as they are, while no broker runs on them. Those that could not be synced are written anew first:
// the system may hold of them in memory what it takes for written.
func (d *Disk) reset() error {
	d.close()
	d.mu.Lock()
	doubtful := slices.Sorted(maps.Keys(d.doubtful))
	d.mu.Unlock()
	for _, path := range doubtful {
		if err := d.rewrite(path); err != nil {
			return err
		}
		d.mu.Lock()
		delete(d.doubtful, path)
		d.mu.Unlock()
	}
	d.failed.Store(nil)
	return nil
}

// rewrite replaces a file by a copy that is synced. One that is gone is no error.
func (d *Disk) rewrite(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() {
		err = d.replace(path, info)
	}
	if err == nil && info.IsDir() {
		err = d.syncPath(path)
	}
	if err != nil {
		return fmt.Errorf("write %s anew: %w", path, err)
	}
	return nil
}

func (d *Disk) replace(path string, info fs.FileInfo) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// Not in the file's folder, where the broker would find it after a crash.
	copied := filepath.Join(filepath.Dir(filepath.Dir(path)), filepath.Base(path)+".anew")
	defer func() { _ = os.Remove(copied) }()
	if err = os.WriteFile(copied, content, info.Mode()); err == nil {
		err = d.syncPath(copied)
	}
	if err == nil {
		err = os.Rename(copied, path)
	}
	if err == nil {
		err = d.syncPath(filepath.Dir(path))
	}
	return err
}

// blocks are the block files of one stream: <index>.blk, of which the broker appends to the last. It begins a new one when that is full,
// and replaces older ones when it compacts them.
type blocks struct {
	disk *Disk
	dir  string
	// wanted is the highest sequence that somebody waits for, synced the highest that is on disk.
	wanted, synced atomic.Uint64

	// syncing is held while files are synced.
	syncing sync.Mutex
	known   map[string]block
	last    *os.File
	index   int
	// keyed says that the key of the last block is on disk. Without it the block can't be read.
	keyed bool

	mu sync.Mutex
	// moved is closed when synced moves.
	moved chan struct{}
}

// block is a state of a file that is on disk.
type block struct {
	file uint64
	size int64
	// keyed says that the key of the block, if it has one, is on disk.
	keyed bool
}

func (b *blocks) upTo(sequence uint64) error {
	raise(&b.wanted, sequence)
	if b.synced.Load() >= sequence {
		return nil
	}
	b.syncing.Lock()
	defer b.syncing.Unlock()
	if err := b.disk.Err(); err != nil {
		return err
	}
	if b.synced.Load() >= sequence {
		return nil
	}
	// What anybody waits for by now is written.
	target := b.wanted.Load()
	if err := b.sync(); err != nil {
		return err
	}
	raise(&b.synced, target)
	b.mu.Lock()
	close(b.moved)
	b.moved = make(chan struct{})
	b.mu.Unlock()
	return nil
}

func (b *blocks) await(ctx context.Context, sequence uint64) error {
	if b.synced.Load() >= sequence {
		return nil
	}
	late := time.NewTimer(awaitSync)
	defer late.Stop()
	for {
		b.mu.Lock()
		moved := b.moved
		b.mu.Unlock()
		if b.synced.Load() >= sequence {
			return nil
		}
		select {
		case <-moved:
		case <-late.C:
			return b.upTo(sequence)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sync syncs what has changed since the last call. The usual case, one file that grew, costs three system calls.
func (b *blocks) sync() error {
	if b.last == nil || !b.keyed {
		return b.scan()
	}
	if err := b.disk.sync(b.last); err != nil {
		return err
	}
	open, err := b.last.Stat()
	if err != nil {
		return fmt.Errorf("sync %s: %w", b.last.Name(), err)
	}
	// Looked at after the sync: what was written before it is in this file, unless the file was replaced or followed by another.
	named, err := os.Stat(b.last.Name())
	if err != nil || !os.SameFile(open, named) {
		return b.scan()
	}
	if _, err = os.Lstat(b.path(b.index + 1)); !errors.Is(err, fs.ErrNotExist) {
		return b.scan()
	}
	return nil
}

func (b *blocks) path(index int) string { return filepath.Join(b.dir, strconv.Itoa(index)+blockSuffix) }

const blockSuffix = ".blk"

// scan syncs every block file that is new or changed, and the directory.
func (b *blocks) scan() error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return fmt.Errorf("sync the files of a stream: %w", err)
	}
	var indexes []int
	for _, e := range entries {
		if index, err := strconv.Atoi(strings.TrimSuffix(e.Name(), blockSuffix)); err == nil && strings.HasSuffix(e.Name(), blockSuffix) {
			indexes = append(indexes, index)
		}
	}
	slices.Sort(indexes) // so that no later block is on disk without those before it
	known, last, keyed := map[string]block{}, 0, false
	for _, index := range indexes {
		name := filepath.Base(b.path(index))
		state, err := b.syncBlock(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed or replaced meanwhile
		}
		if err != nil {
			return err
		}
		known[name], last, keyed = state, index, state.keyed
	}
	b.known = known
	if err := b.disk.syncPath(b.dir); err != nil {
		return err
	}
	b.close()
	if last == 0 {
		return nil
	}
	b.index, b.keyed = last, keyed
	b.last, err = os.Open(b.path(last))
	if err != nil {
		b.last = nil // the next call scans again
	}
	return nil
}

// forget begins anew: nothing is known to be on disk.
func (b *blocks) forget() {
	b.syncing.Lock()
	defer b.syncing.Unlock()
	b.close()
	b.known = nil
	b.wanted.Store(0)
	b.synced.Store(0)
}

func (b *blocks) close() {
	if b.last != nil {
		_ = b.last.Close() // it was only read
		b.last = nil
	}
}

func raise(v *atomic.Uint64, to uint64) {
	for {
		now := v.Load()
		if now >= to || v.CompareAndSwap(now, to) {
			return
		}
	}
}
