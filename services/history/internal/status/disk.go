package status

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
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

// forecast says when EVENTS and the disk are full at the rate of the last hours.
func (s *Reporter) forecast(status *outboundv1.Status, streams []control.StreamState, now time.Time) {
	samples := s.growth.samples()
	for i, x := range streams {
		if x.Name == bus.StreamEvents {
			status.Streams[i].FullTime = protofield.Timestamp(eventsFull(samples, x, now))
		}
	}
	if d := status.GetDisk(); d.GetFreeKnown() {
		room := d.GetLimitBytes() - min(d.GetUsedBytes(), d.GetLimitBytes())
		d.FullTime = protofield.Timestamp(diskFull(samples, d.GetFreeBytes(), room, now))
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
