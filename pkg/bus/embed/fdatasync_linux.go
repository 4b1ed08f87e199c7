package embed

import (
	"os"

	"golang.org/x/sys/unix"
)

// dataSync has the data of a file reach the disk, and of its metadata what is needed to read it (fdatasync(2)).
func dataSync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR { //nolint:errorlint // a system call returns a bare number
			return err
		}
	}
}
