package history

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// activityHours is how far back activity is counted, the hour that is under way included.
const activityHours = 24

// tally is what happened in an hour.
type tally struct {
	// hour is counted from the beginning of Unix time.
	hour              int64
	delivered, failed int64
}

// pulse is what is known of a recipient's deliveries without reading them.
type pulse struct {
	// hours are tallies by their hour, one place for each.
	hours [activityHours]tally
	// tried and delivered are when that last happened; zero: not as far as is known.
	tried, delivered time.Time
	// looked says that the log was searched for what was before.
	looked bool
}

// activity counts the deliveries of the last hours of each recipient, in memory. It is filled from the log when the process starts
// and follows it from then on.
type activity struct {
	mu sync.Mutex
	by map[string]*pulse
	// complete says that all that is stored has been counted.
	complete bool
	// swept is the hour in which what is over was last forgotten.
	swept int64
}

func newActivity() *activity { return &activity{by: map[string]*pulse{}} }

// caughtUp notes that all that is stored has been counted. It reports whether that is news.
func (a *activity) caughtUp() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	news := !a.complete
	a.complete = true
	return news
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// again forgets what was counted, for all is told anew.
func (a *activity) again() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by, a.complete, a.swept = map[string]*pulse{}, false, 0
}

// count takes a record into account. Skips and cancellations say nothing of the receiver, what was done by hand to a delivery that goes
// on and copies of records tell of no attempt.
func (a *activity) count(g deliverylog.RecordHeader) {
	if g.Carried || g.State == delivery.StateRetrying && g.Reason.OperatorChange() {
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
		p = &pulse{}
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

// sweep forgets recipients that nothing happened to in all these hours, once an hour. What was before is searched for again when
// somebody asks.
func (a *activity) sweep(hour int64) {
	if hour <= a.swept {
		return
	}
	a.swept = hour
	for id, p := range a.by {
		if hour-hourOf(latestOf(p.tried, p.delivered)) > activityHours {
			delete(a.by, id)
		}
	}
}

// of is what is known of a recipient; false: the log has to be searched first.
func (a *activity) of(id string) (pulse, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.by[id]
	if p == nil {
		return pulse{}, false
	}
	return *p, a.complete && (p.looked || !p.tried.IsZero() && !p.delivered.IsZero())
}

// searched notes what the log has of a recipient.
func (a *activity) searched(id string, tried, delivered time.Time) pulse {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.by[id]
	if p == nil {
		p = &pulse{}
		a.by[id] = p
	}
	p.tried, p.delivered, p.looked = latestOf(p.tried, tried), latestOf(p.delivered, delivered), true
	return *p
}

// shown are the hours from the first in which something happened, oldest first.
func (p pulse) shown(now time.Time) []*outboundv1.Activity {
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
