package embed

import "fmt"

// Space is what the file system of the store has, for who runs the process.
type Space struct {
	// Free and Total are bytes, FreeInodes and Inodes files. Inodes is 0 if the file system has no fixed number of them.
	Free, Total        uint64
	FreeInodes, Inodes uint64
}

// Bounds say from when on free space is low, and what of it is kept for what must still be written when no more events are accepted:
// acknowledgements, records of attempts, and changes of the configuration.
type Bounds struct {
	Warn, Reserve             uint64
	WarnInodes, ReserveInodes uint64
}

const (
	mib = 1 << 20
	// The reserve is a sixteenth of the file system within these bounds, but never more than a quarter.
	minReserve, maxReserve             = 16 * mib, 256 * mib
	minReserveInodes, maxReserveInodes = 64, 4_096
	// maxWarn is the most that may be free while the space counts as low.
	maxWarn       = 10 << 30
	maxWarnInodes = 100_000
)

// Bounds are those for a file system. warn and reserve, in bytes, are what somebody has chosen; 0: a tenth, but at most 10 GiB and at
// least twice the reserve; and a sixteenth, but 16 to 256 MiB.
func (x Space) Bounds(warn, reserve uint64) Bounds {
	b := Bounds{Warn: warn, Reserve: reserve}
	if b.Reserve == 0 {
		b.Reserve = min(max(x.Total/16, minReserve), maxReserve, x.Total/4)
	}
	if b.Warn == 0 {
		b.Warn = min(x.Total/10, maxWarn)
	}
	b.Warn = max(b.Warn, 2*b.Reserve)
	b.ReserveInodes = min(max(x.Inodes/64, minReserveInodes), maxReserveInodes, x.Inodes/4)
	b.WarnInodes = max(min(x.Inodes/10, maxWarnInodes), 2*b.ReserveInodes)
	return b
}

// Low says what is low; empty: nothing is.
func (x Space) Low(b Bounds) string {
	switch {
	case x.Free < b.Warn:
		return fmt.Sprintf("%s of %s are free", size(x.Free), size(x.Total))
	case x.Inodes > 0 && x.FreeInodes < b.WarnInodes:
		return fmt.Sprintf("%d of %d inodes are free", x.FreeInodes, x.Inodes)
	default:
		return ""
	}
}

// Short says what is so low that only the reserve is left; empty: nothing is. was says that it was before: then a quarter more must be
// free, so that the answer does not change all the time.
func (x Space) Short(b Bounds, was bool) string {
	reserve, inodes := b.Reserve, b.ReserveInodes
	if was {
		reserve, inodes = reserve+reserve/4, inodes+inodes/4
	}
	switch {
	case x.Free < reserve:
		return fmt.Sprintf("%s of %s are free, and %s are reserved for acknowledgements and records", size(x.Free), size(x.Total),
			size(b.Reserve))
	case x.Inodes > 0 && x.FreeInodes < inodes:
		return fmt.Sprintf("%d of %d inodes are free, and %d are reserved for acknowledgements and records", x.FreeInodes, x.Inodes,
			b.ReserveInodes)
	default:
		return ""
	}
}

// size writes bytes as people read them.
func size(n uint64) string {
	if n < 10<<30 {
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}
