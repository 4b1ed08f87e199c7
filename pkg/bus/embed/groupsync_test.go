package embed_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// synced is a broker whose files are synced by its writers, and what was synced of it.
type synced struct {
	t      *testing.T
	dir    string
	broker *embed.Server
	conn   *bus.Conn

	mu sync.Mutex
	// sync is asked before a file is synced; disk holds how much of each file was synced, by name.
	sync func(name string) error
	disk map[string]int64
}

// repeatedFor is how long an event whose result is unknown is repeated.
const repeatedFor = 100 * time.Millisecond

func startSynced(t *testing.T) *synced { return startSyncedWith(t, "") }

func startSyncedWith(t *testing.T, key string) *synced {
	t.Helper()
	s := &synced{t: t, dir: t.TempDir(), disk: map[string]int64{}}
	var err error
	s.broker, err = embed.Start(embed.Options{StoreDir: s.dir, Host: "127.0.0.1", Port: -1, GroupSync: true, Sync: s.file, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.broker.Shutdown)
	s.conn, err = bus.Connect(t.Context(), bus.Options{User: embed.CoreUser, Password: s.broker.CorePassword(), InProcess: s.broker,
		Disk: s.broker.Disk(), RepeatFor: repeatedFor})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.conn.Close)
	if err := s.conn.EnsureStreams(t.Context(), bus.DefaultStreamOptions()); err != nil {
		t.Fatal(err)
	}
	return s
}

// file syncs a file: what it holds now is on disk.
func (s *synced) file(f *os.File) error {
	s.mu.Lock()
	ask := s.sync
	s.mu.Unlock()
	if ask != nil {
		if err := ask(f.Name()); err != nil {
			return err
		}
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disk[f.Name()] = info.Size()
	return nil
}

func (s *synced) asked(f func(name string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sync = f
}

// synced returns what is on disk of a stream's messages.
func (s *synced) synced(stream string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []byte
	for name, size := range s.disk {
		if !strings.HasSuffix(name, ".blk") || !strings.Contains(name, string(filepath.Separator)+stream+string(filepath.Separator)) {
			continue
		}
		held, err := os.ReadFile(name)
		if err != nil {
			s.t.Error(err)
			continue
		}
		all = append(all, held[:min(size, int64(len(held)))]...)
	}
	return all
}

func (s *synced) holds(stream, text string) bool {
	return bytes.Contains(s.synced(stream), []byte(text))
}

func anEvent(id string) *event.Event {
	raw := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"site","type":"support_conference_end","time":%q,"data":{"pad":%q}}`,
		id, time.Now().UTC().Format(time.RFC3339), strings.Repeat("x", 1000))
	e, violations := event.Decode([]byte(raw))
	if len(violations) > 0 {
		panic(violations)
	}
	return e
}

// The whole of group sync rests on this: what the broker has acknowledged is in the file.
func TestAnAcknowledgedMessageIsInItsFile(t *testing.T) {
	s := startSynced(t)
	for i := range 200 {
		text := fmt.Sprintf("acknowledged-%d-", i)
		if _, err := s.conn.JS.Publish(t.Context(), "outbound.events.site.support_conference_end", []byte(text)); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(s.dir, "jetstream", "*", "streams", "EVENTS", "msgs", "*.blk"))
		if err != nil || len(files) == 0 {
			t.Fatalf("the block files are %q, %v", files, err)
		}
		found := false
		for _, name := range files {
			held, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(held, []byte(text))
		}
		if !found {
			t.Fatalf("message %d is acknowledged and in none of %q", i, files)
		}
	}
}

func TestWhatIsAcceptedIsSyncedOverManyBlocks(t *testing.T) {
	s := startSynced(t)
	p := bus.NewPublisher(s.conn)
	defer p.Close()
	const n, publishers = 12_000, 64 // more than one block of 8 MB
	var wg sync.WaitGroup
	for k := range publishers {
		wg.Go(func() {
			for i := k; i < n; i += publishers {
				id := fmt.Sprintf("e-%d", i)
				if _, err := p.Accept(t.Context(), anEvent(id)); err != nil {
					t.Error(err)
					return
				}
				if i%1000 == 0 && !s.holds("EVENTS", `"id":"`+id+`"`) {
					t.Errorf("%s is accepted and not on disk", id)
				}
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, id := range regexp.MustCompile(`"id":"(e-\d+)"`).FindAllSubmatch(s.synced("EVENTS"), -1) {
		ids[string(id[1])] = true
	}
	if len(ids) != n {
		t.Errorf("%d of %d accepted events are on disk", len(ids), n)
	}
	if syncs := s.broker.Disk().Syncs(); syncs > n/4 {
		t.Errorf("%d events took %d syncs: they are not grouped", n, syncs)
	}
}

// What a power loss could take is not handed out: nothing is sent, recorded or settled of it.
func TestAnEventThatIsNotOnDiskIsNotHandedOut(t *testing.T) {
	s := startSynced(t)
	r := &recipient.Recipient{ID: "r", Enabled: true, EventTypes: []string{"support_conference_end"}, StartSequence: 1,
		HTTP: &recipient.HTTPTarget{}}
	if err := control.New(s.conn).EnsureConsumer(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	puller, err := queue.New(s.conn).Open(t.Context(), recipient.HTTP, "r")
	if err != nil {
		t.Fatal(err)
	}
	defer puller.Close()
	release, held := make(chan struct{}), make(chan struct{}, 16)
	s.asked(func(string) error { held <- struct{}{}; <-release; return nil })
	p := bus.NewPublisher(s.conn)
	defer p.Close()
	accepted := make(chan error, 1)
	go func() { _, err := p.Accept(t.Context(), anEvent("e-1")); accepted <- err }()
	taken := make(chan delivery.Message, 1)
	go func() {
		for t.Context().Err() == nil && len(taken) == 0 {
			_ = puller.Pull(t.Context(), 1, time.Second, func(m delivery.Message) { taken <- m })
		}
	}()
	waittest.Receive(t, "the sync of the event", held)
	waittest.Until(t, "the broker to hand the event out", func() bool {
		c, err := s.conn.JS.Consumer(t.Context(), bus.StreamEvents, "http-r")
		return err == nil && c.CachedInfo().NumAckPending == 1
	})
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	if err := s.conn.Flush(ctx); err != nil { // what the broker sent before has come
		t.Fatal(err)
	}
	select {
	case err := <-accepted:
		t.Fatalf("the event is accepted before it is on disk: %v", err)
	case <-taken:
		t.Fatal("the event is handed out before it is on disk")
	default:
	}
	close(release)
	if err := waittest.Receive(t, "the event to be accepted", accepted); err != nil {
		t.Fatal(err)
	}
	if m := waittest.Receive(t, "the event to be handed out", taken); m.Event.ID != "e-1" {
		t.Errorf("%+v is handed out", m)
	}
}

func TestAChangeOfABucketIsOnDiskBeforeItIsAnswered(t *testing.T) {
	s := startSynced(t)
	b, err := s.conn.Bucket(t.Context(), bus.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	revision, err := b.Create(t.Context(), "k", []byte("created-value"))
	if err != nil || !s.holds("KV_outbound_settings", "created-value") {
		t.Fatalf("a created key is answered with %v and not on disk", err)
	}
	revision, err = b.Update(t.Context(), "k", []byte("updated-value"), revision)
	if err != nil || !s.holds("KV_outbound_settings", "updated-value") {
		t.Fatalf("an updated key is answered with %v and not on disk", err)
	}
	before := s.broker.Disk().Syncs()
	if err := b.Delete(t.Context(), "k", revision); err != nil || s.broker.Disk().Syncs() == before {
		t.Fatalf("a deleted key is answered with %v after %d syncs", err, s.broker.Disk().Syncs()-before)
	}
}

// After a failed sync nothing is stored and nothing answered as accepted, until the store is opened again. Then what could not be synced is
// written anew: the system may have dropped it, and holds it in memory as if it were written.
func TestAfterAFailedSyncNothingIsAcceptedUntilTheStoreIsOpenedAgain(t *testing.T) {
	s := startSynced(t)
	p := bus.NewPublisher(s.conn)
	defer p.Close()
	if _, err := p.Accept(t.Context(), anEvent("before")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("input/output error")
	s.asked(func(string) error { return broken })
	if _, err := p.Accept(t.Context(), anEvent("e-1")); !errors.Is(err, bus.ErrNotSynced) {
		t.Fatalf("an event whose sync fails is answered with %v", err)
	}
	if err := s.broker.StoreError(); !errors.Is(err, broken) {
		t.Errorf("the store's error is %v", err)
	}
	if err := s.broker.Reopen(); !errors.Is(err, broken) {
		t.Errorf("the store is opened again though the disk takes nothing: %v", err)
	}
	// A later sync that succeeds says nothing about what was dropped.
	s.asked(nil)
	s.reopen()
	s.asked(func(string) error { return broken })
	if _, err := p.Accept(t.Context(), anEvent("e-2")); !errors.Is(err, bus.ErrNotSynced) {
		t.Errorf("an event after a failed sync is answered with %v", err)
	}
	s.asked(nil)
	stored := s.last()
	if _, err := p.Accept(t.Context(), anEvent("e-3")); !errors.Is(err, bus.ErrNotSynced) {
		t.Errorf("an event after a failed sync is answered with %v", err)
	}
	if now := s.last(); now != stored {
		t.Errorf("%d events are stored after a failed sync", now-stored)
	}
	b, err := s.conn.Bucket(t.Context(), bus.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), "k", []byte("v")); err == nil {
		t.Error("a change after a failed sync is answered as stored")
	}
	was := s.block()
	s.reopen()
	if os.SameFile(was, s.block()) {
		t.Error("what could not be synced was not written anew")
	}
	if _, err := p.Accept(t.Context(), anEvent("e-4")); err != nil || !s.holds("EVENTS", `"id":"e-4"`) {
		t.Errorf("an event after the store was opened again is answered with %v", err)
	}
	if r, err := p.Accept(t.Context(), anEvent("e-2")); err != nil || !r.Duplicate {
		t.Errorf("a repeat of an event that was stored is answered with %+v, %v", r, err)
	}
}

// reopen opens the store again and waits for the connection.
func (s *synced) reopen() {
	s.t.Helper()
	if err := s.broker.Reopen(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.broker.StoreError(); err != nil {
		s.t.Errorf("the store was opened again with %v", err)
	}
	waittest.NoError(s.t, "the connection", func() error {
		_, err := s.conn.JS.Stream(s.t.Context(), bus.StreamEvents)
		return err
	})
}

// block is the file in which EVENTS begins.
func (s *synced) block() os.FileInfo {
	s.t.Helper()
	info, err := os.Stat(filepath.Join(s.dir, "jetstream", "CORE", "streams", "EVENTS", "msgs", "1.blk"))
	if err != nil {
		s.t.Fatal(err)
	}
	return info
}

// last is the last sequence of EVENTS.
func (s *synced) last() uint64 {
	s.t.Helper()
	stream, err := s.conn.JS.Stream(s.t.Context(), bus.StreamEvents)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}
