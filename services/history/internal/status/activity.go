package status

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// ActivityPeriod is how far back activity is counted.
const ActivityPeriod = activityHours * time.Hour

// activityHours are the hours of that period, the current one included.
const activityHours = 24

// tally is what happened in an hour.
type tally struct {
	// hour is counted from the beginning of Unix time.
	hour              int64
	delivered, failed int64
}

// counts are the deliveries of one recipient in the last hours.
type counts struct {
	// hours are tallies by their hour, in a ring.
	hours [activityHours]tally
	// tried and delivered are when that last happened; zero: not as far as is known.
	tried, delivered time.Time
	// searched says that the log was searched for what was before.
	searched bool
}

// Activity counts the deliveries of the last hours of each recipient, in memory. It is safe for concurrent use.
type Activity struct {
	mu sync.Mutex
	by map[string]*counts
	// skips are what was skipped of recipients that were disabled.
	skips map[string]skips
	// complete says that all that is stored has been counted.
	complete bool
	// swept is the hour in which what is over was last forgotten.
	swept int64
}

// NewActivity makes a count of nothing.
func NewActivity() *Activity { return &Activity{by: map[string]*counts{}, skips: map[string]skips{}} }

// CaughtUp notes that all that is stored has been counted. It reports whether that is news.
func (a *Activity) CaughtUp() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	news := !a.complete
	a.complete = true
	return news
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// Reset forgets what was counted.
func (a *Activity) Reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by, a.skips, a.complete, a.swept = map[string]*counts{}, map[string]skips{}, false, 0
}

// Count counts a record. Skips and cancellations say nothing of the receiver. An operator's change of a delivery that goes on and copies
// of records are no attempts.
func (a *Activity) Count(g deliverylog.RecordHeader) {
	if g.Carried || g.State == delivery.StateRetrying && g.Reason.OperatorChange() {
		return
	}
	if g.State == delivery.StateSkipped && g.Reason == reasons.Disabled {
		a.countSkip(g.Recipient, g.Stored)
		return
	}
	failed := g.State == delivery.StateRetrying || g.State == delivery.StateExpired || g.State == delivery.StateRejected
	if g.State != delivery.StateDelivered && !failed {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.by[g.Recipient]
	if p == nil {
		p = &counts{}
		a.by[g.Recipient] = p
	}
	hour := hourOf(g.Stored)
	x := &p.hours[hour%activityHours]
	if x.hour < hour {
		*x = tally{hour: hour}
	}
	if x.hour == hour && failed {
		x.failed++
	} else if x.hour == hour {
		x.delivered++
	}
	if g.Tried {
		p.tried = latestOf(p.tried, g.Stored)
	}
	if !failed {
		p.delivered = latestOf(p.delivered, g.Stored)
	}
	a.sweep(hour)
}

func latestOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sweep forgets recipients without deliveries in all these hours, once an hour. The log is searched again for what was before.
func (a *Activity) sweep(hour int64) {
	if hour <= a.swept {
		return
	}
	a.swept = hour
	a.sweepSkips(time.Unix(hour*3600, 0))
	for id, p := range a.by {
		if hour-hourOf(latestOf(p.tried, p.delivered)) > activityHours {
			delete(a.by, id)
		}
	}
}

// of returns the counts of a recipient; false: the log has to be searched first.
func (a *Activity) of(id string) (counts, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.by[id]
	if p == nil {
		return counts{}, false
	}
	return *p, a.complete && (p.searched || !p.tried.IsZero() && !p.delivered.IsZero())
}

// noteSearched notes what the log has of a recipient.
func (a *Activity) noteSearched(id string, tried, delivered time.Time) counts {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.by[id]
	if p == nil {
		p = &counts{}
		a.by[id] = p
	}
	p.tried, p.delivered, p.searched = latestOf(p.tried, tried), latestOf(p.delivered, delivered), true
	return *p
}

// hourly are the hours from the first in which something happened, oldest first.
func (p counts) hourly(now time.Time) []*outboundv1.Activity {
	var out []*outboundv1.Activity
	last := hourOf(now)
	for hour := last - activityHours + 1; hour <= last; hour++ {
		x := p.hours[hour%activityHours]
		if x.hour != hour {
			x = tally{hour: hour}
		}
		if len(out) == 0 && x.delivered+x.failed == 0 {
			continue
		}
		out = append(out, &outboundv1.Activity{StartTime: &timestamppb.Timestamp{Seconds: hour * 3600}, Delivered: x.delivered, Failed: x.failed})
	}
	return out
}

// counted reports whether all that is stored has been counted.
func (a *Activity) counted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.complete
}
