package embed_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/bus/storefile"
)

const storeKey = "a key of at least thirty-two characters"

// content reads all files of a store but the lock, by path.
func content(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() || filepath.Dir(path) == dir {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			out[rel] = b
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// lay writes files into a new folder.
func lay(t *testing.T, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// held counts the messages that a store has in EVENTS, once a broker has opened it, and reads them all.
func held(t *testing.T, dir, key string) (n uint64) {
	t.Helper()
	b, err := embed.Start(embed.Options{StoreDir: dir, Host: "127.0.0.1", Port: -1, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Shutdown()
	c, err := bus.Connect(t.Context(), bus.Options{User: embed.CoreUser, Password: b.CorePassword(), InProcess: b})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.JS.Stream(t.Context(), bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		if m, err := s.GetMsg(t.Context(), seq); err == nil && bytes.Contains(m.Data, []byte(`"specversion"`)) {
			n++
		}
	}
	if n != state.Msgs {
		t.Errorf("%d of %d messages can be read", n, state.Msgs)
	}
	return n
}

// accept has events accepted by several publishers.
func (s *synced) accept(n int) {
	s.t.Helper()
	p := bus.NewPublisher(s.conn)
	defer p.Close()
	var wg sync.WaitGroup
	for k := range 16 {
		wg.Go(func() {
			for i := k; i < n; i += 16 {
				if _, err := p.Accept(s.t.Context(), anEvent(fmt.Sprintf("e-%d", i))); err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAnEncryptedStoreShowsNothingAndOpensWithItsKeyAlone(t *testing.T) {
	s := startSyncedWith(t, storeKey)
	const n = 200
	s.accept(n)
	killed := content(t, s.dir)
	s.conn.Close()
	s.broker.Shutdown()
	ended := content(t, s.dir)
	for name, files := range map[string]map[string][]byte{"running": killed, "ended": ended} {
		blocks := 0
		for path, b := range files {
			if strings.HasSuffix(path, ".blk") && len(b) > 0 {
				blocks++
			}
			for _, text := range []string{"support_conference_end", "specversion", "xxxxxxxx", "outbound.events", storeKey} {
				if bytes.Contains(b, []byte(text)) {
					t.Errorf("%s: %s shows %q", name, path, text)
				}
			}
		}
		if blocks == 0 {
			t.Errorf("%s: no block of messages was looked at", name)
		}
	}
	for key, want := range map[string]string{"": "no key is given", "another key of thirty-two characters": "encrypted with another key"} {
		_, err := embed.InspectStore(embed.Store{Dir: s.dir, Key: key})
		if !errors.Is(err, storefile.ErrKey) || !strings.Contains(err.Error(), want) {
			t.Errorf("looked at with %q: %v", key, err)
		}
		b, err := embed.Start(embed.Options{StoreDir: s.dir, Host: "127.0.0.1", Port: -1, Key: key})
		if !errors.Is(err, storefile.ErrKey) {
			b.Shutdown()
			t.Fatalf("started with %q: %v", key, err)
		}
	}
	for path, b := range content(t, s.dir) {
		if !bytes.Equal(b, ended[path]) {
			t.Errorf("a start with the wrong key changed %s", path)
		}
	}
	for name, dir := range map[string]string{"killed": lay(t, killed), "ended": s.dir} {
		report, err := embed.InspectStore(embed.Store{Dir: dir, Key: storeKey})
		if err != nil || len(report.Faults) > 0 || len(report.Streams) < 4 {
			t.Errorf("%s: found %v, %v", name, report, err)
		}
		if got := held(t, dir, storeKey); got != n {
			t.Errorf("%s: %d of %d events are there", name, got, n)
		}
	}
}

func TestAStoreThatIsInUseIsNotEncrypted(t *testing.T) {
	s := startSynced(t)
	s.accept(10)
	s.conn.Close()
	s.broker.Shutdown()
	_, err := embed.Start(embed.Options{StoreDir: s.dir, Host: "127.0.0.1", Port: -1, Key: storeKey})
	if !errors.Is(err, storefile.ErrKey) || !strings.Contains(err.Error(), "outbound backup") {
		t.Errorf("started: %v", err)
	}
	if got := held(t, s.dir, ""); got != 10 {
		t.Errorf("%d of 10 events are there", got)
	}
}

// After a power loss there is what was synced: the keys of blocks must be among it, or their messages can't be read.
func TestAPowerLossTakesNothingAcceptedFromAnEncryptedStore(t *testing.T) {
	s := startSyncedWith(t, storeKey)
	const n = 8000 // more than one block of 8 MB
	s.accept(n)
	s.mu.Lock()
	files, blocks := map[string][]byte{}, 0
	for path, size := range s.disk {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // a directory, or one that was replaced
		}
		rel, err := filepath.Rel(s.dir, path)
		if err != nil {
			t.Error(err)
		}
		if files[rel] = b[:min(size, int64(len(b)))]; strings.Contains(rel, "EVENTS") && strings.HasSuffix(rel, ".blk") {
			blocks++
		}
	}
	s.mu.Unlock()
	if blocks < 2 {
		t.Fatalf("there are only %d blocks", blocks)
	}
	dir := lay(t, files)
	if report, err := embed.InspectStore(embed.Store{Dir: dir, Key: storeKey}); err != nil || len(report.Faults) > 0 {
		t.Errorf("found %v, %v", report.Faults, err)
	}
	if got := held(t, dir, storeKey); got != n {
		t.Errorf("%d of %d accepted events are there", got, n)
	}
}

func TestDamagesOfAnEncryptedStoreAreFoundAndMended(t *testing.T) {
	s := startSyncedWith(t, storeKey)
	const n = 50
	s.accept(n)
	s.conn.Close()
	s.broker.Shutdown()
	files := content(t, s.dir)
	events := filepath.Join("jetstream", "CORE", "streams", "EVENTS")
	for _, x := range []struct {
		name, path string
		damage     func(b []byte) []byte
		kind       storefile.Kind
		left       uint64
	}{
		{"a message", filepath.Join(events, "msgs", "1.blk"), func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, storefile.Messages, n - 1},
		{"settings", filepath.Join(events, "meta.inf"), func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, storefile.Settings, n},
		{"the key of settings", filepath.Join(events, "meta.key"), func(b []byte) []byte { b[20] ^= 1; return b }, storefile.Settings, n},
		{"the key of a block", filepath.Join(events, "msgs", "1.key"), func([]byte) []byte { return nil }, storefile.Messages, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := lay(t, files)
			path := filepath.Join(dir, x.path)
			if b := x.damage(bytes.Clone(files[x.path])); b == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			store := embed.Store{Dir: dir, Key: storeKey}
			report, err := embed.InspectStore(store)
			if err != nil || len(report.Faults) != 1 || report.Faults[0].Kind != x.kind {
				t.Fatalf("found %v, %v", report.Faults, err)
			}
			if _, err := embed.MendStore(t.Context(), store, report.Faults, bus.DefaultStreamOptions()); err != nil {
				t.Fatal(err)
			}
			if report, err = embed.InspectStore(store); err != nil || len(report.Faults) > 0 {
				t.Errorf("after the repair: %v, %v", report.Faults, err)
			}
			if got := held(t, dir, storeKey); got != x.left {
				t.Errorf("%d events are left, want %d", got, x.left)
			}
		})
	}
}
