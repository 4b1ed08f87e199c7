//go:build unix

package embed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// ErrLocked means that another process has the store directory. Two brokers on one directory would destroy it.
var ErrLocked = errors.New("another process uses the directory")

// lock is an flock on a file in the store directory. The system releases it when the process ends, however it ends.
type lock struct {
	file *os.File
	once sync.Once
}

func takeLock(dir string) (*lock, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the broker's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w: use a local file system", path, err)
		}
		return nil, fmt.Errorf("open the store in %s: %w (%s): stop it, or choose another directory", dir, ErrLocked, holder(f))
	}
	// Who holds it is only a help for people: a disk that is full keeps nobody from starting.
	_ = writeHolder(f)
	return &lock{file: f}, nil
}

// holder says who wrote the lock file; only a help for people.
func holder(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0)
	pid := strings.TrimSpace(string(b[:n]))
	if _, err := strconv.Atoi(pid); err != nil {
		return "its process id is not known"
	}
	return "process id " + pid
}

func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release gives the directory free. The file stays: removing it would let two others lock two different files.
func (l *lock) release() {
	l.once.Do(func() { _ = l.file.Close() })
}
