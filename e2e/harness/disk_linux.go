package harness

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Disk is a file system of its own in a file, mounted by a loop device. What was not synced to it is in the page cache alone, so a copy
// of the file is what a host finds after a loss of power.
type Disk struct {
	// Dir is where it is mounted, image the file.
	Dir, image string
}

// NewDisk makes and mounts a disk of so many bytes, without the help that the system gives to programs that do not sync: it commits its
// journal every ten minutes, writes no data before metadata, and none because a file was renamed. It ends with the test.
func NewDisk(t T, size int64) *Disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(image)
	if err == nil {
		err = f.Truncate(size)
		_ = f.Close()
	}
	if err != nil {
		t.Fatalf("make a disk: %v", err)
	}
	must(t, "mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
	return mountDisk(t, image)
}

func mountDisk(t T, image string) *Disk {
	t.Helper()
	d := &Disk{Dir: image + ".mounted", image: image}
	if err := os.Mkdir(d.Dir, 0o755); err != nil {
		t.Fatalf("mount a disk: %v", err)
	}
	must(t, "mount", "-o", "loop,commit=600,data=writeback,noauto_da_alloc", image, d.Dir)
	t.Cleanup(func() { must(t, "umount", "--lazy", d.Dir) })
	return d
}

// LosePower mounts a copy of the disk as it is on the medium now.
func (d *Disk) LosePower(t T) *Disk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "copy.img")
	if err := copySparse(image, d.image); err != nil {
		t.Fatalf("copy a disk: %v", err)
	}
	return mountDisk(t, image)
}

func copySparse(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	const seekData, seekHole = 3, 4
	for at := int64(0); ; {
		begin, err := in.Seek(at, seekData)
		if err != nil { // no more data
			return nil
		}
		if at, err = in.Seek(begin, seekHole); err != nil {
			return err
		}
		if _, err := out.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(out, io.NewSectionReader(in, begin, at-begin)); err != nil {
			return err
		}
	}
}

// CanMount says why disks can't be mounted here; nil: they can.
func CanMount() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("mounting a disk needs root")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	image := filepath.Join(os.TempDir(), fmt.Sprintf("outbound-mount-%d", os.Getpid()))
	defer func() { _ = os.RemoveAll(image); _ = os.RemoveAll(image + ".dir") }()
	for _, step := range [][]string{
		{"truncate", "-s", "8M", image}, {"mkfs.ext4", "-q", image}, {"mkdir", image + ".dir"}, {"mount", "-o", "loop", image, image + ".dir"},
		{"umount", image + ".dir"},
	} {
		if out, err := exec.CommandContext(context.Background(), step[0], step[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(step, " "), err, out)
		}
	}
	return nil
}

func must(t T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// Paused runs f while a process is stopped.
func (h *System) Paused(t T, name string, f func()) {
	t.Helper()
	p := h.part(t, name).process
	p.signal(syscall.SIGSTOP)
	defer p.signal(syscall.SIGCONT)
	f()
}
