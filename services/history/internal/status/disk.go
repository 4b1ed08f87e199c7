package status

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus/control"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

func streamStatus(x control.StreamState) *outboundv1.StreamStatus {
	return &outboundv1.StreamStatus{
		Name: x.Name, Messages: x.Messages, Bytes: x.Bytes, MaxBytes: x.MaxBytes, LastSequence: x.LastSequence, MaxMessages: x.MaxMessages,
		// #nosec G115 -- 0 to 100
		MaxAge: durationpb.New(x.MaxAge), FirstTime: protofield.Timestamp(x.FirstTime), UsedPercent: int32(x.UsedPercent()),
	}
}

// disk adds up what the streams use and may use. The free space of the disk is known with an embedded broker only.
func (s *Reporter) disk(streams []control.StreamState) *outboundv1.DiskStatus {
	out := &outboundv1.DiskStatus{}
	for _, x := range streams {
		out.UsedBytes += x.Bytes
		out.LimitBytes += x.MaxBytes
	}
	if s.o.FreeBytes == nil {
		return out
	}
	if free, err := s.o.FreeBytes(); err == nil {
		out.FreeBytes, out.FreeKnown = free, true
	}
	return out
}
