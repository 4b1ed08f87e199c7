package secret

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadOrCreate reads a private file, or writes what is made there, readable by its owner alone. Two processes that start at once get the
// same. A file that others may change is refused.
func LoadOrCreate(path string, content func() ([]byte, error)) ([]byte, error) {
	found, err := FilePlace(path).Read()
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	fresh, err := content()
	if err != nil {
		return nil, err
	}
	if err := createOnce(path, fresh); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create the file %s: %w", path, err)
	}
	return FilePlace(path).Read()
}

// createOnce writes a file that did not exist, readable by its owner alone. It is there whole and on disk, or not at all:
// the content is written beside it and then linked to its name, which fails with fs.ErrExist if another was first.
func createOnce(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// CreateTemp opens with O_EXCL and mode 0600.
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreAbsent(os.Remove(f.Name()))) }()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name in dir survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replaceFile writes a file in place of the one that is there, with its mode. It is there whole and on disk, before or after.
func replaceFile(path string, content []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreAbsent(os.Remove(f.Name()))) }()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
