package storefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Fresh gives the files with the settings of a stream, by their names, as a server writes them for a new one with the same key.
type Fresh func(stream string) (map[string][]byte, error)

// SettingsFiles are the names of the files with the settings of a stream; the last one is there if it is encrypted.
func SettingsFiles() []string { return []string{fileMeta, fileSum, fileKey} }

// Mend repairs the files that an inspection has found damaged. It keeps every record that can be read, gives streams fresh settings, and
// removes consumers that cannot be read. What it replaces is copied to the folder aside before. No server may use the store.
func Mend(o Options, faults []Fault, aside string, fresh Fresh) error {
	for _, f := range faults {
		s := stream{name: f.Stream, dir: filepath.Join(o.folder(), f.Stream), opener: o.opener()}
		if err := s.mend(f, filepath.Join(aside, f.Stream), fresh); err != nil {
			return fmt.Errorf("mend %s: %w", f.Path, err)
		}
	}
	return nil
}

func (s stream) mend(f Fault, aside string, fresh Fresh) error {
	switch f.Kind {
	case Settings:
		return s.mendSettings(aside, fresh)
	case Messages:
		return s.mendBlock(f.Path, aside)
	case Consumer:
		return move(filepath.Join(s.dir, folderConsumers, f.Consumer), filepath.Join(aside, folderConsumers, f.Consumer))
	default:
		return errors.New("not a fault that can be mended")
	}
}

func (s stream) mendSettings(aside string, fresh Fresh) error {
	files, err := fresh(s.name)
	if err != nil {
		return err
	}
	for _, name := range SettingsFiles() {
		path := filepath.Join(s.dir, name)
		if err := move(path, filepath.Join(aside, name)); err != nil {
			return err
		}
		if content, ok := files[name]; ok {
			if err := write(path, content); err != nil {
				return err
			}
		}
	}
	if s.opener == nil {
		return nil
	}
	return s.dropIndex() // it is encrypted with the key that was replaced
}

// dropIndex has the server build its index from the blocks.
func (s stream) dropIndex() error {
	err := os.Remove(filepath.Join(s.dir, folderMessages, fileIndex))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// mendBlock writes the block again, without what cannot be read, and has the server build its index from the blocks.
func (s stream) mendBlock(path, aside string) error {
	b := block{path: path}
	if _, err := fmt.Sscanf(filepath.Base(path), "%d.blk", &b.index); err != nil {
		return err
	}
	x, err := s.scan(b)
	if err != nil {
		return err
	}
	var whole []byte
	for _, g := range x.good {
		whole = append(whole, x.content[g.from:g.to]...)
	}
	if x.closed {
		key := b.keyPath()
		if err := move(key, filepath.Join(aside, folderMessages, filepath.Base(key))); err != nil {
			return err
		}
	} else if whole, err = s.opener.block(b, s.name, whole); err != nil {
		return err
	}
	if err := move(path, filepath.Join(aside, folderMessages, filepath.Base(path))); err != nil {
		return err
	}
	if !x.closed {
		if err := write(path, whole); err != nil {
			return err
		}
	}
	return s.dropIndex()
}

// move moves a file or folder; one that is not there is no error.
func move(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// write writes a file whole or not at all, and to the disk.
func write(path string, content []byte) (err error) {
	f, err := os.OpenFile(path+".mend", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".mend", path)
}
