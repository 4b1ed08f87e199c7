package storefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/minio/highwayhash"
)

// A record is a header, the subject, with headers their length and they themselves, the message, and a checksum. The header is the
// record's length (4 bytes, the highest bit: it has headers), the sequence (8), the time (8) and the length of the subject (2).
const (
	headerLen   = 22
	checksumLen = 8
	maxRecord   = 32 << 20
	headersBit  = 1 << 31
	// Bits of sequences: the record is of a message that was erased, or tells that one was deleted.
	erasedBit, deletedBit = 1 << 63, 1 << 62
)

// block is a file of messages.
type block struct {
	path  string
	index int
	size  int64
}

func (s stream) blocks() ([]block, error) {
	files, err := os.ReadDir(filepath.Join(s.dir, folderMessages))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []block
	for _, f := range files {
		b := block{path: filepath.Join(s.dir, folderMessages, f.Name())}
		if _, err := fmt.Sscanf(f.Name(), "%d.blk", &b.index); err != nil || fmt.Sprintf("%d.blk", b.index) != f.Name() {
			continue
		}
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		b.size = info.Size()
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b block) int { return a.index - b.index })
	return out, nil
}

// scan is what a block holds: the parts of it that are whole records, and what lies between them.
type scan struct {
	content []byte
	good    []span
	// bad is how many parts before the last good record can't be read; lost are the sequences that stand between their neighbours.
	bad  int
	lost []Range
	// torn is what follows the last good record, in bytes.
	torn int
	// closed says that the block is encrypted and its key is missing or can't be opened.
	closed bool
}

type span struct{ from, to int }

// inspectBlock finds what cannot be read in a block. An end that cannot be read is none of it in a stream's last block: a write that was
// under way when the machine stopped looks like this. What had been acknowledged there is missed by those who know its sequences.
func (s stream) inspectBlock(b block, last bool) ([]Fault, error) {
	x, err := s.scan(b)
	if err != nil {
		return nil, err
	}
	if x.closed {
		return []Fault{{Kind: Messages, Stream: s.name, Path: b.path, Problem: "the key of its messages is missing or can't be opened"}}, nil
	}
	if x.bad == 0 && (x.torn == 0 || last) {
		return nil, nil
	}
	f := Fault{Kind: Messages, Stream: s.name, Path: b.path, Problem: "messages in it do not fit their checksums", Lost: x.lost}
	return []Fault{f}, nil
}

func (s stream) scan(b block) (x scan, err error) {
	if x.content, err = os.ReadFile(b.path); err != nil {
		return x, err
	}
	plain, closed := s.opener.block(b, s.name, x.content)
	if closed != nil {
		x.closed = true // it is a fault of the block
		return x, nil   //nolint:nilerr // see above
	}
	x.content = plain
	if bytes.HasPrefix(x.content, []byte("cmp")) {
		return x, nil // compressed: not by us
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", s.name, b.index))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return x, err
	}
	x.read(h)
	return x, nil
}

func (x *scan) read(h hash.Hash) {
	last := uint64(0)
	for at := 0; at < len(x.content); {
		n, sequence := record(x.content[at:], h, 0)
		if n == 0 {
			next, found := x.resume(at+1, h, last)
			if found == 0 {
				x.torn = len(x.content) - at
				return
			}
			x.bad++
			if first := x.firstLost(at, last, found); first < found {
				x.lost = append(x.lost, Range{First: first, Last: found - 1})
			}
			at = next
			continue
		}
		x.good = append(x.good, span{at, at + n})
		if sequence&deletedBit == 0 {
			last = max(last, sequence&^erasedBit)
		}
		at += n
	}
}

// firstLost is the first sequence that a damage at an offset may have taken: what its header says, if that can be, or what follows the
// last good record.
func (x *scan) firstLost(at int, last, found uint64) uint64 {
	if last > 0 {
		return last + 1
	}
	if at+headerLen <= len(x.content) {
		if s := binary.LittleEndian.Uint64(x.content[at+4:]) &^ (erasedBit | deletedBit); s > 0 && s < found {
			return s
		}
	}
	return found - 1
}

// resume finds the next whole record from an offset on, and its sequence; 0: there is none.
func (x *scan) resume(from int, h hash.Hash, last uint64) (at int, sequence uint64) {
	for at = from; at+headerLen+checksumLen <= len(x.content); at++ {
		if n, sequence := record(x.content[at:], h, last+1); n > 0 {
			return at, sequence &^ (erasedBit | deletedBit)
		}
	}
	return at, 0
}

// record reads the record at the beginning of b: its length, 0 if it is not whole, and its sequence, which is least or more.
func record(b []byte, h hash.Hash, least uint64) (n int, sequence uint64) {
	if len(b) < headerLen+checksumLen {
		return 0, 0
	}
	length, subject := binary.LittleEndian.Uint32(b), int(binary.LittleEndian.Uint16(b[20:]))
	body := headerLen + subject
	if length&headersBit != 0 {
		body += 4
	}
	n = int(length &^ headersBit)
	sequence = binary.LittleEndian.Uint64(b[4:])
	if n > maxRecord || n > len(b) || body+checksumLen > n || sequence&^(erasedBit|deletedBit) < least {
		return 0, 0
	}
	h.Reset()
	_, _ = h.Write(b[4:20])
	_, _ = h.Write(b[headerLen : headerLen+subject])
	_, _ = h.Write(b[body : n-checksumLen])
	if !bytes.Equal(h.Sum(nil), b[n-checksumLen:n]) {
		return 0, 0
	}
	return n, sequence
}
