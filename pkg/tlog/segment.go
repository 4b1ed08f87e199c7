package tlog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/outbound-events/outbound/pkg/delivery/chain"
)

// MaxEntries is how many entries a segment holds at most.
const MaxEntries = 1024

// Segment is a part of the tree as it is stored.
type Segment struct {
	// Start is the index of the first entry, Left are the hashes of the perfect subtrees before it.
	Start   uint64
	Left    [][]byte
	Entries []Entry
	// Signed is the checkpoint of the tree that ends with the last entry; empty: there is none.
	Signed []byte
}

// End is the index behind the last entry.
func (s Segment) End() uint64 { return s.Start + uint64(len(s.Entries)) }

// segmentHeader is the first line of a stored segment. Subjects and times follow, compressed, then the digests.
type segmentHeader struct {
	Format  int      `json:"format"`
	Start   uint64   `json:"start"`
	Count   int      `json:"count"`
	Left    [][]byte `json:"left"`
	Signed  string   `json:"signed,omitempty"`
	Columns int      `json:"columns"`
}

// Encode is the segment as it is stored.
func (s Segment) Encode() ([]byte, error) {
	var columns []byte
	digests := make([]byte, 0, len(s.Entries)*len(chain.Digest{}))
	var sequence uint64
	var stored int64
	for _, e := range s.Entries {
		columns = binary.AppendVarint(columns, int64(e.Sequence-sequence)) //nolint:gosec // a difference
		columns = binary.AppendVarint(columns, e.Stored.UnixNano()-stored)
		columns = append(append(columns, e.Subject...), '\n')
		sequence, stored = e.Sequence, e.Stored.UnixNano()
		digests = append(digests, e.Digest[:]...)
	}
	packed := s2.Encode(nil, columns)
	h, err := json.Marshal(segmentHeader{Format: 1, Start: s.Start, Count: len(s.Entries), Left: s.Left, Signed: string(s.Signed),
		Columns: len(packed)})
	if err != nil {
		return nil, fmt.Errorf("encode a segment of the tree: %w", err)
	}
	return append(append(append(h, '\n'), packed...), digests...), nil
}

// errSegment says that what is stored is no segment.
var errSegment = errors.New("it is no segment of the tree")

// maxColumns bounds the subjects and times of a segment, in bytes.
const maxColumns = 16 << 20

// DecodeSegment reads what Encode writes.
func DecodeSegment(raw []byte) (s Segment, err error) {
	first, rest, ok := bytes.Cut(raw, []byte("\n"))
	var h segmentHeader
	if !ok || json.Unmarshal(first, &h) != nil || h.Format != 1 || h.Count < 0 || h.Count > MaxEntries || h.Columns < 0 ||
		len(rest) != h.Columns+h.Count*len(chain.Digest{}) {
		return s, errSegment
	}
	if n, err := s2.DecodedLen(rest[:h.Columns]); err != nil || n > maxColumns {
		return s, errSegment
	}
	columns, err := s2.Decode(nil, rest[:h.Columns])
	if err != nil {
		return s, fmt.Errorf("%w: %w", errSegment, err)
	}
	s = Segment{Start: h.Start, Left: h.Left, Signed: []byte(h.Signed), Entries: make([]Entry, h.Count)}
	digests := rest[h.Columns:]
	var before Entry
	var at int64
	for i := range s.Entries {
		e := &s.Entries[i]
		step, n := binary.Varint(columns)
		if n <= 0 {
			return s, errSegment
		}
		later, m := binary.Varint(columns[n:])
		if m <= 0 {
			return s, errSegment
		}
		end := bytes.IndexByte(columns[n+m:], '\n')
		if end < 0 {
			return s, errSegment
		}
		at += later
		e.Sequence, e.Stored = before.Sequence+uint64(step), time.Unix(0, at).UTC() //nolint:gosec // a difference
		e.Subject = string(columns[n+m : n+m+end])
		e.Digest = chain.Digest(digests[i*len(e.Digest):])
		columns, before = columns[n+m+end+1:], *e
	}
	return s, nil
}
