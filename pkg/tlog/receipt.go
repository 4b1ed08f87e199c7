package tlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/outbound-events/outbound/pkg/delivery/chain"
)

// ReceiptFormat names the format of receipts.
const ReceiptFormat = "outbound receipt v1"

// Receipt proves what the log said of a delivery.
type Receipt struct {
	Format string `json:"format"`
	// Recipient and Event are the delivery's.
	Recipient string `json:"recipient"`
	Event     string `json:"event"`
	Replay    string `json:"replay,omitempty"`
	// Key is the verifier key of the log. Who verifies takes it from elsewhere.
	Key     string   `json:"key"`
	Records []Proven `json:"records"`
}

// Proven is a record as it is stored, and the proof that it is in the tree of a checkpoint.
type Proven struct {
	Sequence uint64    `json:"sequence"`
	Stored   time.Time `json:"stored"`
	Subject  string    `json:"subject"`
	// Headers are those that the digest covers, by name.
	Headers map[string][]string `json:"headers"`
	Data    string              `json:"data"`
	// Index is that of the leaf, Proof are the hashes on the way to the root.
	Index uint64   `json:"index"`
	Proof [][]byte `json:"proof"`
	// Checkpoint is a signed note.
	Checkpoint string `json:"checkpoint"`
}

// Trust are keys that only verify.
func Trust(keys ...string) (*Keys, error) {
	k := &Keys{}
	for _, key := range keys {
		v, err := note.NewVerifier(key)
		if err != nil {
			return nil, fmt.Errorf("%q is no verifier key (NAME+HASH+KEY): %w", key, err)
		}
		k.verifiers = append(k.verifiers, v)
	}
	return k, nil
}

// Verify returns the checkpoint of each record, or says which record is not proven.
func (r Receipt) Verify(keys *Keys) ([]Checkpoint, error) {
	if r.Format != ReceiptFormat {
		return nil, fmt.Errorf("the format is %q, not %q", r.Format, ReceiptFormat)
	}
	if len(r.Records) == 0 {
		return nil, errors.New("it holds no record")
	}
	out := make([]Checkpoint, 0, len(r.Records))
	for _, p := range r.Records {
		c, err := p.verify(keys)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", p.Sequence, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (p Proven) verify(keys *Keys) (Checkpoint, error) {
	c, err := keys.Open([]byte(p.Checkpoint))
	if err != nil {
		return c, fmt.Errorf("its checkpoint is not valid: %w", err)
	}
	for name := range p.Headers {
		if !chain.Covered(name) {
			return c, fmt.Errorf("it has the header %s, which the digest does not cover", name)
		}
	}
	e := Entry{Sequence: p.Sequence, Stored: p.Stored, Subject: p.Subject, Digest: chain.DigestOf(p.Subject, p.Headers, []byte(p.Data))}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, e.Hash(), p.Proof, c.Root); err != nil {
		return c, fmt.Errorf("it is not in the tree of its checkpoint: %w", err)
	}
	return c, nil
}
