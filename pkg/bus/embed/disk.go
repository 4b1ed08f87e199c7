//go:build linux || darwin || freebsd

package embed

import (
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// FreeBytes is what is free on the disk that holds the streams, for who runs the process.
func (s *Server) FreeBytes() (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.storeDir, &st); err != nil {
		return 0, fmt.Errorf("read the disk usage of %s: %w", s.storeDir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil // #nosec G115 -- a block has a size
}

// fileNumber tells a file from the one that replaces it under its name.
func fileNumber(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino) //nolint:unconvert // its type differs between systems
	}
	return 0
}
