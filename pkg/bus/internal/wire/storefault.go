package wire

import (
	"fmt"
	"strings"
)

// storeReason says in a word why the broker's store takes nothing. It is the reason of a refused event.
type storeReason string

// The reasons.
const (
	// StoreFull is that there is no room: no space or no inodes are left on the broker's disk, a quota is used up, or what is left is
	// reserved for acknowledgements and records.
	StoreFull storeReason = "STORE_FULL"
	// StoreFailed is that the disk refuses what is written, e.g. with an input/output error or because it is read-only.
	StoreFailed storeReason = "STORE_FAILED"
	// StoreSlow is that the broker does not respond, or stores nothing of what it was given.
	StoreSlow storeReason = "STORE_SLOW"
)

// StoreFault is why the broker's store takes nothing now. It is an error.
type StoreFault struct {
	Reason storeReason
	// Stream is the stream that can't be written; empty: it is not one stream, or Detail names it.
	Stream string
	// Lasts says that the broker keeps the fault until its store is opened again: nats-server 2.15.2 keeps the first write error of a
	// stream until it is restarted.
	Lasts bool
	// Detail is what the broker or the system says.
	Detail string
}

// Error says what is wrong. It does not say what to do about it: that depends on where the broker runs.
func (f *StoreFault) Error() string {
	if f.Stream != "" {
		return fmt.Sprintf("the broker can't write the stream %s: %s", f.Stream, f.Detail)
	}
	return f.Detail
}

// lasting is a fault that lasts.
func lasting(stream, text string) *StoreFault {
	return &StoreFault{Reason: StoreFailed, Stream: stream, Lasts: true, Detail: text}
}

// noRoom are the texts of errors that say that there is no room: ENOSPC, EDQUOT, and that of Windows.
func noRoom() []string {
	return []string{"no space left on device", "disk quota exceeded", "not enough space"}
}

// writeFault is the fault of a stream with a write error.
func writeFault(stream, text string) *StoreFault {
	f := lasting(stream, text)
	for _, x := range noRoom() {
		if strings.Contains(text, x) {
			f.Reason = StoreFull
		}
	}
	return f
}
