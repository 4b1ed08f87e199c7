//go:build !(linux || darwin || freebsd)

package embed

import (
	"errors"
	"io/fs"
)

// Space is what the file system that holds the streams has.
func (s *Server) Space() (Space, error) {
	return Space{}, errors.New("free disk space is not available on this system")
}

// FreeBytes is what is free on the disk that holds the streams, for who runs the process.
func (s *Server) FreeBytes() (uint64, error) {
	x, err := s.Space()
	return x.Free, err
}

// fileNumber tells a file from the one that replaces it under its name; 0: this system has no such number.
func fileNumber(fs.FileInfo) uint64 { return 0 }
