// Package index keeps in memory what the newest records of the delivery log can be searched by, so that a search reads from the broker
// only the records that it shows. It is derived from the log: records that it no longer or not yet holds are searched for in the log
// itself. Because it keeps hashes, it may find some records too many, but never too few.
package index

import (
	"hash/maphash"
	"slices"
	"sort"
	"sync"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// row is what is kept of a record, 48 bytes. A hash of 0 is an unknown value: it matches anything.
type row struct {
	sequence uint64
	// next is the sequence of the next record of the delivery, if the delivery was to be retried after this one; 0: none.
	next                                               uint64
	recipient, kind, session, key, appliance, replayed uint32
	state, channel, class, reason                      uint8
}

// The states of an intake record. States of deliveries come after them.
const (
	refused = iota + 1
	accepted
)

// unknownWord is the number of a word that no record has.
const unknownWord = 255

// A chunk is a number of rows that are kept and removed together: a sixteenth of all, within these bounds.
const (
	chunks     = 16
	leastChunk = 64
	mostChunk  = 1 << 14
)

// Index is safe for concurrent use.
type Index struct {
	most, chunk int
	seed        maphash.Seed

	mu     sync.RWMutex
	words  map[string]uint8
	chunks [][]row
	// base is how many rows were removed, so that a row keeps its number.
	base int
	// retrying are the numbers of the rows after which a delivery is to be retried, by delivery, until another record of it follows.
	retrying map[[2]uint64]int
}

// New makes an index that keeps at least most of the newest records, or all if there are fewer, at 48 bytes each, and about 80
// more for each delivery that is being retried. 0: it keeps none.
func New(most int) *Index {
	x := &Index{most: most, chunk: min(max(most/chunks, leastChunk), mostChunk), seed: maphash.MakeSeed()}
	x.Reset()
	return x
}

// Reset removes everything.
func (x *Index) Reset() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.words, x.chunks, x.base, x.retrying = map[string]uint8{"refused": refused, "accepted": accepted}, nil, 0, map[[2]uint64]int{}
}

// Add adds a record. Records must be added in the order of the log, each once, none left out.
func (x *Index) Add(g deliverylog.RecordHeader) {
	if x.most == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	r := row{
		sequence: g.Sequence, kind: x.hash(g.Type), session: x.hash(g.Session), key: x.hash(g.Key), appliance: x.hash(g.Appliance),
	}
	if g.Intake {
		r.state = refused
		if g.Accepted {
			r.state = accepted
		}
		x.push(r)
		return
	}
	r.recipient, r.replayed = x.hash(g.Recipient), x.hash(g.ReplayID)
	r.state, r.channel, r.class, r.reason = x.word(string(g.State)), x.word(g.Channel), x.word(string(g.Class)), x.word(string(g.Reason))
	of := x.deliveryOf(g)
	if n, ok := x.retrying[of]; ok {
		if earlier := x.row(n); earlier != nil {
			earlier.next = g.Sequence
		}
		delete(x.retrying, of)
	}
	n := x.push(r)
	if g.State == delivery.StateRetrying {
		x.retrying[of] = n
	}
}

// deliveryOf identifies a delivery. 128 bits make sure that no two are taken for one.
func (x *Index) deliveryOf(g deliverylog.RecordHeader) [2]uint64 {
	key := g.Recipient + "/" + g.Appliance + "/" + g.EventID + "~" + g.ReplayID
	return [2]uint64{maphash.String(x.seed, key), maphash.String(x.seed, "2"+key)}
}

// hash is 0 for an unknown value only.
func (x *Index) hash(s string) uint32 {
	if s == "" {
		return 0
	}
	return max(1, uint32(maphash.String(x.seed, s)&0xffffffff))
}

// word is a number for a word of a small vocabulary. 0: it is unknown, or there are too many words.
func (x *Index) word(s string) uint8 {
	if s == "" {
		return 0
	}
	n, ok := x.words[s]
	if !ok && len(x.words) < unknownWord-1 {
		n = uint8(len(x.words) + 1) //nolint:gosec // less than unknownWord
		x.words[s] = n
	}
	return n
}

// push appends a row and returns its number.
func (x *Index) push(r row) int {
	if n := len(x.chunks); n == 0 || len(x.chunks[n-1]) == x.chunk {
		x.chunks = append(x.chunks, make([]row, 0, x.chunk))
		if n > 0 && (n-1)*x.chunk >= x.most {
			x.forget()
		}
	}
	last := len(x.chunks) - 1
	x.chunks[last] = append(x.chunks[last], r)
	return x.base + last*x.chunk + len(x.chunks[last]) - 1
}

// forget removes the oldest chunk.
func (x *Index) forget() {
	x.chunks = slices.Delete(x.chunks, 0, 1)
	x.base += x.chunk
	for of, n := range x.retrying {
		if n < x.base {
			delete(x.retrying, of)
		}
	}
}

func (x *Index) row(n int) *row {
	if n -= x.base; n < 0 {
		return nil
	}
	return &x.chunks[n/x.chunk][n%x.chunk]
}

// Span returns from which to which sequence the index holds all records; ok is false if it holds none.
func (x *Index) Span() (first, last uint64, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.span()
}

// Len is how many records the index holds.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.chunks) == 0 {
		return 0
	}
	return (len(x.chunks)-1)*x.chunk + len(x.chunks[len(x.chunks)-1])
}

func (x *Index) span() (first, last uint64, ok bool) {
	if len(x.chunks) == 0 {
		return 0, 0, false
	}
	newest := x.chunks[len(x.chunks)-1]
	return x.chunks[0][0].sequence, newest[len(newest)-1].sequence, true
}

// scan calls match for the rows with a sequence from from to before before, newest first, until most of them match. It returns their
// sequences, and the sequence from which on it has called match. ok is false if the index does not hold the record before before.
func (x *Index) scan(from, before uint64, most int, match func(*row) bool) (found []uint64, reached uint64, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	first, last, ok := x.span()
	if !ok || before <= first || before > last+1 {
		return nil, 0, false
	}
	from = max(from, first)
	for _, rows := range slices.Backward(x.chunks) {
		if rows[0].sequence >= before {
			continue
		}
		if rows[len(rows)-1].sequence < from {
			break
		}
		end := sort.Search(len(rows), func(i int) bool { return rows[i].sequence >= before })
		for i := end - 1; i >= 0 && rows[i].sequence >= from; i-- {
			if !match(&rows[i]) {
				continue
			}
			if found = append(found, rows[i].sequence); len(found) == most {
				return found, rows[i].sequence, true
			}
		}
	}
	return found, from, true
}
