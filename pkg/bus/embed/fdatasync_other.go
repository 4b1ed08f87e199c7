//go:build !linux

package embed

import "os"

// dataSync has a file reach the disk.
func dataSync(f *os.File) error { return f.Sync() }
