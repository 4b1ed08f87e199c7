package replay

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// The limits of a preview: lookups at once, items of a page, and items counted.
const (
	previewLooks  = 16
	previewPage   = 500
	previewCounts = 10_000
)

// preview counts what a job is about.
func (s *Replayer) preview(ctx context.Context, j *job) (*outboundv1.PreviewReplayResponse, error) {
	src := s.source(j.replay, j.Until)
	usage, err := control.New(s.Bus).StreamState(ctx, bus.StreamEvents)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.PreviewReplayResponse{}
	had := newDeliveredSet(s)
	seen := map[string]bool{}
	var oldest time.Time
	for next, looked := j.Next, 0; next > 0 && !resp.More; looked += previewPage {
		items, then, err := src.find(ctx, next, previewPage)
		if err != nil {
			return nil, err
		}
		next = then
		items = slices.DeleteFunc(items, func(i item) bool {
			twice := seen[i.id()]
			seen[i.id()] = true
			return twice
		})
		for _, i := range items {
			resp.Count++
			if i.gone || i.sequence < usage.FirstSequence {
				resp.Unavailable++
			}
			if oldest.IsZero() || i.accepted.Before(oldest) {
				oldest = i.accepted
			}
		}
		n, err := had.count(ctx, items)
		if err != nil {
			return nil, err
		}
		resp.AlreadyDelivered += n
		resp.More = next > 0 && (resp.Count >= previewCounts || looked+previewPage >= s.MaxScan)
	}
	resp.OldestTime = protofield.Timestamp(oldest)
	resp.EstimatedDuration = durationpb.New(time.Duration(resp.Count-resp.Unavailable) * time.Second / time.Duration(j.replay.GetRate()))
	return resp, nil
}
