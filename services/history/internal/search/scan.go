package search

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
)

// recordScan reads the log from its newest record to its oldest and picks the latest record of each delivery.
type recordScan struct {
	s      *Searcher
	filter deliverylog.AttemptFilter
	// from is the first sequence that is read; 0: the first there is.
	from uint64
	// until is the last sequence that exists for this scan.
	until   uint64
	maxScan int
}

// margin is how many records are looked up in excess of those that are still wanted: most records are the latest of their delivery.
const margin = 20

// page returns at most size records before a sequence, and where the next page begins; 0: there are no more.
func (w *recordScan) page(ctx context.Context, before uint64, size int) ([]deliverylog.StoredRecord, uint64, error) {
	var out []deliverylog.StoredRecord
	seen := map[string]bool{}
	s := w.s.findAttempts(w.filter, deliverylog.Range{From: w.from, Before: before, Until: w.until})
	for len(out) < size && s.Before() > 0 && s.Looked() < w.maxScan {
		records, err := s.Next(ctx, size-len(out)+margin)
		if err != nil {
			return nil, 0, err
		}
		for len(records) > 0 && len(out) < size {
			var part []deliverylog.StoredRecord
			if part, records = firstOfEach(records, seen, size-len(out)+margin); len(part) == 0 {
				break
			}
			latest, err := w.s.Log.Newest(ctx, part, w.until)
			if err != nil {
				return nil, 0, err
			}
			for i, r := range part {
				if !latest[i] {
					continue
				}
				if len(out) == size {
					return out, out[size-1].Sequence, nil
				}
				out = append(out, r)
			}
			if len(out) == size && len(records) > 0 {
				return out, out[size-1].Sequence, nil
			}
		}
	}
	return out, s.Before(), nil
}

// firstOfEach takes at most n records, of each delivery the first one, and leaves the rest.
func firstOfEach(records []deliverylog.StoredRecord, seen map[string]bool, n int) (part, rest []deliverylog.StoredRecord) {
	for i, r := range records {
		if len(part) == n {
			return part, records[i:]
		}
		if key := delivery.Key(r.Recipient, event.Key(r.Appliance, r.EventID), r.ReplayID); !seen[key] {
			seen[key] = true
			part = append(part, r)
		}
	}
	return part, nil
}
