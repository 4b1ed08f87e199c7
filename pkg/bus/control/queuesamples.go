package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
)

// QueueSample is how long the queues were in an interval: the longest that were seen.
type QueueSample struct {
	// Slot is the number of the interval, counted from the beginning of Unix time.
	Slot int64 `json:"slot"`
	// Total is the sum over all recipients.
	Total int64 `json:"total"`
	// Waiting are the queues by recipient, without the empty ones. More says that others, which are shorter, were left out.
	Waiting map[string]int64 `json:"waiting,omitempty"`
	More    bool             `json:"more,omitempty"`

	// Revision is that of the place where it is stored.
	Revision uint64 `json:"-"`
}

// QueueSlot is a place for a sample. Samples of one interval are kept in a ring: the place is used again after so many.
type QueueSlot struct {
	Interval time.Duration
	Place    int64
}

// prefixQueues begins the keys of samples in the bucket of statuses. No channel is called so.
const prefixQueues = "queues."

// key is `queues.<seconds of the interval>.<place>`.
func (s QueueSlot) key() string {
	return prefixQueues + strconv.FormatInt(int64(s.Interval/time.Second), 10) + "." + strconv.FormatInt(s.Place, 10)
}

func queueSlotOf(key string) (QueueSlot, bool) {
	interval, place, _ := strings.Cut(strings.TrimPrefix(key, prefixQueues), ".")
	seconds, err1 := strconv.ParseInt(interval, 10, 64)
	n, err2 := strconv.ParseInt(place, 10, 64)
	return QueueSlot{Interval: time.Duration(seconds) * time.Second, Place: n}, err1 == nil && err2 == nil
}

// WatchQueueSamples tells every sample that is stored and then each that follows, until ctx ends. An error says why it ended earlier: it
// is to be called again. begin is called before the first, complete when all that is stored has been told.
func (s *HealthStore) WatchQueueSamples(ctx context.Context, begin, complete func(), tell func(QueueSlot, QueueSample)) error {
	return watchStatus(ctx, s.conn, statusWatch{keys: prefixQueues + ">", begin: begin, complete: complete,
		tell: func(e jetstream.KeyValueEntry) {
			at, ok := queueSlotOf(e.Key())
			if !ok {
				return
			}
			x := QueueSample{}
			if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &x) != nil {
				x = QueueSample{} // one that can't be read counts as none, and is written over
			}
			x.Revision = e.Revision()
			tell(at, x)
		}})
}

// PutQueueSample writes a sample over the one with its Revision, 0 for none: else health.ErrConflict.
func (s *HealthStore) PutQueueSample(ctx context.Context, at QueueSlot, x QueueSample) error {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	value, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("encode how long the queues are: %w", err)
	}
	_, err = put(ctx, b, at.key(), value, x.Revision)
	return err
}
