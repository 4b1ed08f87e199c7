package embed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/storefile"
)

// inspected is how many bytes of messages are read before a start: a second or two of reading.
const inspected = 2 << 30

// Store is a store that no broker runs on.
type Store struct {
	// Dir is its directory, Key what it is encrypted with; see Options.
	Dir, Key string
}

// InspectStore reads the files of a store before a broker is started on it. ErrLocked: one runs on it. storefile.ErrKey: the key is not
// the store's.
func InspectStore(s Store) (storefile.Report, error) {
	l, err := takeLock(s.Dir)
	if err != nil {
		return storefile.Report{}, err
	}
	defer l.release()
	return storefile.Inspect(storefile.Options{Dir: s.Dir, Account: coreAccount, Limit: inspected, Key: s.Key})
}

// folderAside is where damaged files are kept, below the store's folder.
const folderAside = "damaged"

// MendStore repairs the files of a store that no broker runs on, and returns the folder where it has put the damaged ones.
func MendStore(ctx context.Context, s Store, faults []storefile.Fault, streams bus.StreamOptions) (aside string, err error) {
	l, err := takeLock(s.Dir)
	if err != nil {
		return "", err
	}
	defer l.release()
	aside = filepath.Join(s.Dir, folderAside, time.Now().UTC().Format("20060102T150405.000"))
	var fresh *freshStore
	defer func() {
		if fresh != nil {
			_ = os.RemoveAll(fresh.dir)
		}
	}()
	o := storefile.Options{Dir: s.Dir, Account: coreAccount, Key: s.Key}
	return aside, storefile.Mend(o, faults, aside, func(stream string) (_ map[string][]byte, err error) {
		if fresh == nil {
			if fresh, err = newFreshStore(ctx, streams, s.Key); err != nil {
				return nil, err
			}
		}
		return fresh.settings(stream)
	})
}

// freshStore is a store as a first start makes it.
type freshStore struct{ dir string }

func newFreshStore(ctx context.Context, streams bus.StreamOptions, key string) (f *freshStore, err error) {
	f = &freshStore{}
	if f.dir, err = os.MkdirTemp("", "outbound-store-"); err != nil {
		return nil, fmt.Errorf("make a store to copy settings from: %w", err)
	}
	s, err := Start(Options{StoreDir: f.dir, Host: "127.0.0.1", Port: -1, Key: key})
	if err != nil {
		return f, err
	}
	defer s.Shutdown()
	c, err := bus.Connect(ctx, bus.Options{Name: "outbound repair", User: CoreUser, Password: s.CorePassword(), InProcess: s})
	if err != nil {
		return f, err
	}
	defer c.Close()
	return f, c.CreateStreams(ctx, streams)
}

func (f *freshStore) settings(stream string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range storefile.SettingsFiles() {
		content, err := os.ReadFile(filepath.Join(f.folder(stream), name))
		if err == nil {
			out[name] = content
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the settings of a new stream %s: %w", stream, err)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read the settings of a new stream %s: there are none", stream)
	}
	return out, nil
}

func (f *freshStore) folder(stream string) string {
	return filepath.Join(f.dir, "jetstream", coreAccount, "streams", stream)
}
