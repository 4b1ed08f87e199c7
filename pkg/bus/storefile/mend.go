package storefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Fresh gives the settings of a stream as a server writes them for a new one.
type Fresh func(stream string) (meta, sum []byte, err error)

// Mend repairs the files that an inspection has found damaged. It keeps every record that can be read, gives streams fresh settings, and
// removes consumers that cannot be read. What it replaces is copied to the folder aside before. No server may use the store.
func Mend(o Options, faults []Fault, aside string, fresh Fresh) error {
	for _, f := range faults {
		s := stream{name: f.Stream, dir: filepath.Join(o.folder(), f.Stream)}
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
	meta, sum, err := fresh(s.name)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{fileMeta: meta, fileSum: sum} {
		path := filepath.Join(s.dir, name)
		if err := move(path, filepath.Join(aside, name)); err != nil {
			return err
		}
		if err := write(path, content); err != nil {
			return err
		}
	}
	return nil
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
	if err := move(path, filepath.Join(aside, folderMessages, filepath.Base(path))); err != nil {
		return err
	}
	if err := write(path, whole); err != nil {
		return err
	}
	err = os.Remove(filepath.Join(filepath.Dir(path), fileIndex))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
