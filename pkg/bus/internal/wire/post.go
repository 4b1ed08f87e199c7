package wire

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Post is a message on its way to a stream.
type Post struct {
	Msg   *nats.Msg
	Since time.Time
	// background says that nobody waits for it.
	Background bool
	// stored, if set, tells whether a message that is repeated late was stored before.
	Stored func(context.Context) (bool, error)
	// newest, if set, is a filter that nothing in the stream may match yet, unless the message says what may. It is compared when the
	// message is repeated: the first publish may be stored, and the broker knows message ids for a while only.
	Newest string
	Done   func(Receipt, error)
}

// repeat readies a message whose first publish has no definite result.
func (p *Post) repeat() {
	if p.Newest != "" && p.Msg.Header.Get(headerExpectedFor) == "" {
		Compare(p.Msg, p.Newest, 0)
	}
}

// Compare has the broker refuse a message unless the newest one that a filter matches stands at a sequence; 0: there is none.
func Compare(m *nats.Msg, filter string, sequence uint64) {
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(sequence, 10))
	m.Header.Set(headerExpectedFor, filter)
}

// headerExpectedFor is the filter that an expected sequence is of.
const headerExpectedFor = "Nats-Expected-Last-Subject-Sequence-Subject"
