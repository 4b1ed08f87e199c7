package tlog

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/outbound-events/outbound/pkg/delivery/chain"
)

// leafFormat begins each leaf.
const leafFormat = "outbound leaf v1\n"

// Entry is a leaf of the tree: a record, and where it stands.
type Entry struct {
	// Sequence is the record's in HISTORY, Stored is when the broker stored it.
	Sequence uint64
	Stored   time.Time
	Subject  string
	// Digest covers the subject, the headers and the data. See chain.DigestOf.
	Digest chain.Digest
}

// Leaf is what is hashed: four lines, which are the sequence, the time in nanoseconds since 1970, the subject and the digest, behind one
// that names the format.
func (e Entry) Leaf() []byte {
	const room = 128
	return e.append(make([]byte, 0, room+len(e.Subject)))
}

func (e Entry) append(b []byte) []byte {
	b = append(b, leafFormat...)
	b = append(strconv.AppendUint(b, e.Sequence, 10), '\n')
	b = append(strconv.AppendInt(b, e.Stored.UnixNano(), 10), '\n')
	b = append(append(b, e.Subject...), '\n')
	return append(base64.RawURLEncoding.AppendEncode(b, e.Digest[:]), '\n')
}

// Hash is the hash of the leaf, as RFC 6962 has it.
func (e Entry) Hash() []byte {
	const room = 512
	sum := sha256.Sum256(e.append(append(make([]byte, 0, room), rfc6962.RFC6962LeafHashPrefix)))
	return sum[:]
}
