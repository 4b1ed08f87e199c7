package replay

import (
	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Reencode reads a stored job and returns its replay, where it goes on, and how it is stored again.
func Reencode(stored []byte) (r *outboundv1.Replay, next uint64, again []byte, err error) {
	j, err := decodeJob(bus.Entry{Key: prefixJob + "R1", Value: stored})
	if err != nil {
		return nil, 0, nil, err
	}
	again, err = j.encode()
	return j.replay, j.Next, again, err
}
