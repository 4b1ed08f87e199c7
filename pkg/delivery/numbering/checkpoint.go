package numbering

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// Checkpoint is what was counted for the recipients of a channel up to a sequence of EVENTS.
type Checkpoint struct {
	// Through is the sequence of EVENTS up to which all is counted.
	Through uint64 `json:"through"`
	// Floor is a sequence: of what stands there or in front of it, no number can be told any more. 0: of all that is stored it can.
	Floor uint64 `json:"floor,omitempty"`
	// Recipients are those that have numbers, in any order.
	Recipients []Counted `json:"recipients,omitempty"`
}

// Counted is a recipient in a Checkpoint.
type Counted struct {
	ID string `json:"id"`
	// Start is that of the recipient's Change.
	Start uint64 `json:"start,omitempty"`
	// Number is the last one that was given.
	Number uint64 `json:"number"`
	Selection
}

// maxCheckpoint bounds what a checkpoint may be unpacked to, in bytes.
const maxCheckpoint = 64 << 20

// Encode packs a checkpoint.
func (c Checkpoint) Encode() ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err == nil {
		err = json.NewEncoder(z).Encode(c)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encode a checkpoint of numbers: %w", err)
	}
	return out.Bytes(), nil
}

// DecodeCheckpoint unpacks a checkpoint.
func DecodeCheckpoint(b []byte) (c Checkpoint, err error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, maxCheckpoint)).Decode(&c)
	}
	if err != nil {
		return c, fmt.Errorf("decode a checkpoint of numbers: %w", err)
	}
	return c, nil
}

// Skip counts everything up to a sequence as selected by every recipient: what stood there is gone and was not looked at. So no number is
// given twice, and those that are left out are no more than the messages that are gone.
func (c Checkpoint) Skip(through uint64) Checkpoint {
	if through <= c.Through {
		return c
	}
	out := Checkpoint{Through: through, Floor: c.Floor}
	for _, r := range c.Recipients {
		r.Number += through - c.Through
		out.Recipients = append(out.Recipients, r)
	}
	return out
}

// Cut goes on behind a sequence in front of Through, for EVENTS has lost what stood behind it. The numbers that were given there are not
// given again.
func (c Checkpoint) Cut(last uint64) Checkpoint {
	if last < c.Through {
		c.Through, c.Floor = last, last
	}
	return c
}

// Selections are what the recipients of some channels select by all that EVENTS says: those of checkpoints, with the changes behind them.
type Selections map[string]Marked

// Marked is the newest that EVENTS says of a recipient.
type Marked struct {
	Start uint64
	Selection
}

// Of is the key of a recipient.
func Of(channel, id string) string { return channel + "/" + id }

// Take takes over what a checkpoint says of the recipients of a channel.
func (s Selections) Take(channel string, c Checkpoint) {
	for _, r := range c.Recipients {
		s[Of(channel, r.ID)] = Marked{Start: r.Start, Selection: r.Selection}
	}
}

// Apply takes over a change.
func (s Selections) Apply(c Change) {
	key := Of(c.Channel, c.Recipient)
	if c.Ended {
		delete(s, key)
		return
	}
	s[key] = Marked{Start: c.Start, Selection: c.Selection}
}
