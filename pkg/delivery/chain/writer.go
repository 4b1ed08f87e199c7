package chain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// Record is a message that is to be linked. Its headers are written to.
type Record struct {
	Subject string
	Header  map[string][]string
	Data    []byte
}

// Writer links the records of one writer, a group at a time: the next group begins once each record of the group before has its result. It
// is for one goroutine.
type Writer struct {
	name     string
	number   uint64
	group    uint64
	previous Digest
	// after and void tell of the chain before, until a record that tells of them is stored.
	after string
	void  []uint64
	// buffer is what the last digest was made of.
	buffer []byte
}

// NewWriter begins a chain.
func NewWriter() *Writer {
	w := &Writer{}
	w.begin()
	return w
}

// nameLength is how many random bytes a chain's name has.
const nameLength = 9

func (w *Writer) begin() {
	b := make([]byte, nameLength)
	_, _ = rand.Read(b) // crypto/rand.Read never fails
	w.name, w.number, w.previous = base64.RawURLEncoding.EncodeToString(b), 0, Digest{}
}

// Begin begins a group.
func (w *Writer) Begin() { w.group = w.number + 1 }

// Link makes a record the next one of the group.
func (w *Writer) Link(r Record) {
	l := Link{Writer: w.name, Number: w.number + 1, Group: w.group, After: w.after, Void: w.void}
	if w.number > 0 {
		l.Previous = w.previous.short()
	}
	values := make([]string, 2) //nolint:mnd // two headers of one value
	values[0] = l.String()
	r.Header[HeaderLink] = values[:1:1]
	w.buffer = appendRecord(w.buffer[:0], r.Subject, r.Header, r.Data)
	w.number, w.previous = l.Number, sha256.Sum256(w.buffer)
	values[1] = w.previous.String()
	r.Header[HeaderDigest] = values[1:]
}

// End takes the results of a group, in its order: whether each record is stored for sure by this writer. If one is not, the chain ends, and
// the next one tells which.
func (w *Writer) End(stored []bool) {
	var void []uint64
	for i, ok := range stored {
		if ok {
			// A record that tells of the chain before is stored.
			w.after, w.void = "", nil
		} else {
			void = append(void, w.group+uint64(i))
		}
	}
	switch {
	case len(void) == 0:
	case len(void) == len(stored) && w.group == 1:
		// Nothing of this chain is stored. What it told of the one before is told again.
		w.begin()
	default:
		w.after, w.void = w.name, void
		w.begin()
	}
}
