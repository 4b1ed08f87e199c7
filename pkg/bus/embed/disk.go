//go:build linux || darwin || freebsd

package embed

import (
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// Space is what the file system that holds the streams has.
func (s *Server) Space() (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.storeDir, &st); err != nil {
		return Space{}, fmt.Errorf("read the disk usage of %s: %w", s.storeDir, err)
	}
	block := uint64(st.Bsize)                                             // #nosec G115 -- a block has a size
	x := Space{Free: uint64(st.Bavail) * block, Inodes: uint64(st.Files)} //nolint:unconvert // their types differ between systems
	// What only root may use does not count, neither as free nor as part of the whole.
	x.Total = uint64(st.Blocks)*block - uint64(st.Bfree)*block + x.Free //nolint:unconvert // their types differ between systems
	x.FreeInodes = uint64(st.Ffree)                                     //nolint:unconvert // its type differs between systems
	return x, nil
}

// FreeBytes is what is free on the disk that holds the streams, for who runs the process.
func (s *Server) FreeBytes() (uint64, error) {
	x, err := s.Space()
	return x.Free, err
}

// fileNumber tells a file from the one that replaces it under its name.
func fileNumber(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino) //nolint:unconvert // its type differs between systems
	}
	return 0
}
