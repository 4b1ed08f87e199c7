package wire

import (
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/chain"
)

// NewLinkedCommitter is NewCommitter whose messages are records of a chain.
func NewLinkedCommitter(c *Conn, stream string, l BatchWait, repeat time.Duration) *Committer {
	k := newCommitter(c, stream, l, repeat)
	k.chain = chain.NewWriter()
	go k.run()
	return k
}

// link makes the messages of a group the next ones of their chain.
func (k *Committer) link(group []*Post) {
	if k.chain == nil {
		return
	}
	k.chain.Begin()
	for _, p := range group {
		k.chain.Link(chain.Record{Subject: p.Msg.Subject, Header: p.Msg.Header, Data: p.Msg.Data})
	}
}

// linked tells the chain which messages of a group are stored, once each has its result.
func (k *Committer) linked(group []*Post) {
	if k.chain == nil {
		return
	}
	stored := make([]bool, len(group))
	for i, p := range group {
		stored[i] = p.ours
	}
	k.chain.End(stored)
}
