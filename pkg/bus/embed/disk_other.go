//go:build !(linux || darwin || freebsd)

package embed

import (
	"errors"
	"io/fs"
)

// FreeBytes is what is free on the disk that holds the streams, for who runs the process.
func (s *Server) FreeBytes() (uint64, error) {
	return 0, errors.New("free disk space is not available on this system")
}

// fileNumber tells a file from the one that replaces it under its name; 0: this system has no such number.
func fileNumber(fs.FileInfo) uint64 { return 0 }
