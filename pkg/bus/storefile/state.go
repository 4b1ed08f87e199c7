package storefile

import "encoding/binary"

// The header of a consumer's state.
const (
	stateMagic   = 22
	stateVersion = 2
)

// checkState says what is wrong with a consumer's state; empty: nothing. nats-server takes an empty file for a consumer that has given out
// nothing, and does not open one that it cannot decode. There is no checksum.
func checkState(b []byte) string {
	if len(b) == 0 {
		return "its state is empty"
	}
	if len(b) < 2 || b[0] != stateMagic || b[1] == 0 || b[1] > stateVersion {
		return "its state cannot be decoded"
	}
	d := &varints{b: b[2:]}
	ackConsumer, ackStream, consumer, stream := d.next(), d.next(), d.next(), d.next()
	if b[1] == stateVersion && (ackConsumer > consumer || ackStream > stream) || ackStream>>63 == 1 || stream>>63 == 1 {
		return "its state contradicts itself"
	}
	pending := d.next()
	if pending > uint64(len(b)) {
		return "its state contradicts itself"
	}
	if pending > 0 {
		d.next()
	}
	for range pending {
		sequence := d.next()
		if b[1] == stateVersion {
			d.next()
			if ackStream+sequence > stream {
				return "its state contradicts itself"
			}
		}
		d.next()
	}
	redelivered := d.next()
	for range min(redelivered, uint64(len(b))) {
		d.next()
		d.next()
	}
	if d.bad {
		return "its state cannot be decoded"
	}
	return ""
}

// varints reads numbers of variable length. A signed one is as long as an unsigned one.
type varints struct {
	b   []byte
	bad bool
}

func (d *varints) next() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}
