//go:build !(linux || darwin || freebsd)

package embed

import "errors"

// FreeBytes is what is free on the disk that holds the streams, for who runs the process.
func (s *Server) FreeBytes() (uint64, error) {
	return 0, errors.New("free disk space is not available on this system")
}
