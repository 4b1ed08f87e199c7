package embed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// syncBlock syncs a block file unless it is known to be on disk as it is, and returns its state before.
func (b *blocks) syncBlock(name string) (block, error) {
	f, err := os.Open(filepath.Join(b.dir, name))
	if err != nil {
		return block{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return block{}, err
	}
	state := block{file: fileNumber(info), size: info.Size()}
	known := b.known[name]
	if state.keyed = known.keyed && known.file == state.file; !state.keyed {
		if state.keyed, err = b.syncKey(name); err != nil {
			return block{}, err
		}
	}
	if known == state && state.file != 0 {
		return state, nil
	}
	return state, b.disk.sync(f)
}

// syncKey syncs the file with the key of a block. It is not there yet when the block has just been made, which is empty then.
func (b *blocks) syncKey(name string) (synced bool, err error) {
	if !b.disk.encrypted {
		return true, nil
	}
	path := filepath.Join(b.dir, strings.TrimSuffix(name, blockSuffix)+".key")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, b.disk.syncPath(path)
}
