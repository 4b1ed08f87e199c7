package bustest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small file system of its own, a tmpfs. It ends with the test.
type Disk struct {
	t testing.TB
	// Dir is where it is mounted.
	Dir string
}

// NewDisk mounts a file system, e.g. with size=64m or nr_inodes=500. It skips the test if the process may not mount one.
func NewDisk(t testing.TB, options string) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small file system can be mounted by root alone")
	}
	d := &Disk{t: t, Dir: t.TempDir()}
	if err := syscall.Mount("tmpfs", d.Dir, "tmpfs", 0, options); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("this system lets no file system be mounted")
		}
		t.Fatalf("mount a tmpfs with %s: %v", options, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", d.Dir, err)
		}
	})
	return d
}

func (d *Disk) ballast() string { return filepath.Join(d.Dir, "ballast") }

// Fill leaves so many bytes free, rounded up to pages.
func (d *Disk) Fill(free uint64) {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatalf("fill the disk: %v", err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, 4096)
	for d.Free() > free {
		if _, err := f.Write(page); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			d.t.Fatalf("fill the disk: %v", err)
		}
	}
}

// FillInodes leaves so many inodes free.
func (d *Disk) FillInodes(free uint64) {
	d.t.Helper()
	if err := os.MkdirAll(d.ballast(), 0o700); err != nil {
		d.t.Fatalf("fill the disk: %v", err)
	}
	for n := 0; d.stat().Ffree > free; n++ {
		f, err := os.Create(filepath.Join(d.ballast(), fmt.Sprint(n)))
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			d.t.Fatalf("fill the disk: %v", err)
		}
	}
}

// Clear removes what Fill and FillInodes made.
func (d *Disk) Clear() {
	d.t.Helper()
	if err := os.RemoveAll(d.ballast()); err != nil {
		d.t.Fatalf("clear the disk: %v", err)
	}
}

// ReadOnly has the file system refuse to open and create files for writing, as one does after an error, until it is called with false.
// Files that are open stay so.
func (d *Disk) ReadOnly(yes bool) {
	d.t.Helper()
	if !yes {
		if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
			d.t.Fatalf("make %s writable: %v", d.Dir, err)
		}
		return
	}
	err := syscall.Mount(d.Dir, d.Dir, "", syscall.MS_BIND, "")
	if err == nil {
		err = syscall.Mount("", d.Dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
	}
	if err != nil {
		d.t.Fatalf("make %s read-only: %v", d.Dir, err)
	}
}

// Free is how many bytes are free.
func (d *Disk) Free() uint64 {
	st := d.stat()
	return st.Bavail * uint64(st.Bsize) //nolint:gosec // a block has a size
}

func (d *Disk) stat() (st syscall.Statfs_t) {
	d.t.Helper()
	if err := syscall.Statfs(d.Dir, &st); err != nil {
		d.t.Fatalf("read the disk usage: %v", err)
	}
	return st
}
