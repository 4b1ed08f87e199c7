//go:build linux || darwin || freebsd

package embed

import (
	"fmt"

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
