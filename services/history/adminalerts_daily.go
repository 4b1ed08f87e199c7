package history

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// lateFor is how long after its time a daily notice is still sent. One that is later than that gives way to the next.
const lateFor = 12 * time.Hour

// clockLayout is how the time of the daily notice is written in the settings.
const clockLayout = "15:04"

// lastDue is the day of the last daily notice that fell due until now, and when it did. It counts days by the calendar of the
// zone, so that each day has one though clocks change: a time that is left out falls due as the clock is put on, one that
// comes twice falls due once.
func lastDue(now time.Time, zone *time.Location, clock string) (day string, at time.Time, err error) {
	c, err := time.Parse(clockLayout, clock)
	if err != nil {
		return "", time.Time{}, err
	}
	year, month, today := now.In(zone).Date()
	// The day before the one before yesterday is far enough back for any change of clocks.
	for back := range 3 {
		at = time.Date(year, month, today-back, c.Hour(), c.Minute(), 0, 0, zone)
		if !at.After(now) {
			return time.Date(year, month, today-back, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), at, nil
		}
	}
	return "", time.Time{}, errors.New("no date found for the daily report")
}

// daily tells how the day went, once a day. Where it is switched on it begins with the next time of day, not with one that has
// passed.
func (c *adminAlerts) daily(ctx context.Context, now time.Time, settings *settings.Settings) error {
	if settings.SMTP.DailyNotice == "" {
		return c.remove(ctx, bus.MarkDaily)
	}
	day, at, err := lastDue(now, settings.Email.Location, settings.SMTP.DailyNotice)
	if err != nil {
		return err
	}
	m, err := c.marked(ctx, bus.MarkDaily)
	if err != nil {
		return err
	}
	if m.Of == "" || day > m.Of && now.Sub(at) > lateFor {
		_, err := c.health.PutMark(ctx, m.name, health.AlertState{Of: day, At: now, Notified: true}, m.revision)
		if errors.Is(err, health.ErrConflict) {
			return nil
		}
		return err
	}
	if day < m.Of || !m.unnotified(day, false, now) {
		return nil
	}
	if !c.s.activity.counted() {
		return nil // what is stored is being counted
	}
	status, err := (&statusServer{s: c.s}).status(ctx)
	if err != nil {
		return err
	}
	d := dayOf(status, now)
	n := health.Notice{Kind: health.KindDaily, At: now, Thread: bus.MarkDaily, Daily: &d}
	return c.once(ctx, m, health.AlertState{Of: day}, n, settings.SMTP.AdminContacts)
}

// counted reports whether all that is stored has been counted.
func (a *activity) counted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.complete
}

// status is that of the whole.
func (h *statusServer) status(ctx context.Context) (*outboundv1.Status, error) {
	return h.GetStatus(ctx, &outboundv1.GetStatusRequest{})
}

// dayLength is what a daily notice looks back on.
const dayLength = 24 * time.Hour

// dayOf tells a day by the status: failing recipients first, then those with failures, with a queue, and the others.
func dayOf(s *outboundv1.Status, now time.Time) health.Daily {
	d := health.Daily{From: now.Add(-dayLength), Until: now, Relay: s.GetRelay().GetLine(), Attention: s.GetNotices(), Appliances: len(s.GetAppliances())}
	for _, r := range s.GetRecipients() {
		d.Recipients = append(d.Recipients, dayOfRecipient(r))
	}
	slices.SortStableFunc(d.Recipients, func(a, b health.Day) int { return cmp.Compare(urgency(a), urgency(b)) })
	for _, a := range s.GetAppliances() {
		if a.GetSilent() {
			x := health.Silence{Appliance: a.GetApplianceId(), Name: a.GetDisplayName(), After: a.GetSilentAfter().AsDuration(), Never: a.GetLastEventTime() == nil}
			if !x.Never {
				x.Since = a.GetLastEventTime().AsTime()
			}
			d.Silent = append(d.Silent, x)
		}
	}
	for _, x := range s.GetStreams() {
		d.Streams = append(d.Streams, health.StorageUse{Stream: x.GetName(), Bytes: x.GetBytes(), MaxBytes: x.GetMaxBytes()})
	}
	return d
}

func dayOfRecipient(r *outboundv1.RecipientStatus) health.Day {
	out := health.Day{QueueLength: queueOf(r), Health: r.GetHealth().String(), Error: r.GetLastError()}
	if r.GetFailingSinceTime() != nil {
		out.Since = r.GetFailingSinceTime().AsTime()
	}
	for _, a := range r.GetActivity() {
		out.Delivered += a.GetDelivered()
		out.Failed += a.GetFailed()
	}
	return out
}

func queueOf(r *outboundv1.RecipientStatus) health.QueueLength {
	q := health.QueueLength{Recipient: r.GetRecipientId(), Name: r.GetDisplayName(), Waiting: r.GetQueuedEvents()}
	if r.GetOldestQueuedTime() != nil {
		q.Oldest = r.GetOldestQueuedTime().AsTime()
	}
	return q
}

// urgency sorts recipients, the least first.
func urgency(d health.Day) int {
	switch {
	case !d.Since.IsZero():
		return 1
	case d.Failed > 0:
		return 2
	case d.Waiting > 0:
		return 3
	default:
		return 4
	}
}

// longest are the longest queues.
func longest(s *outboundv1.Status) []health.QueueLength {
	var out []health.QueueLength
	for _, r := range s.GetRecipients() {
		if r.GetQueuedEvents() > 0 {
			out = append(out, queueOf(r))
		}
	}
	slices.SortStableFunc(out, func(a, b health.QueueLength) int { return cmp.Compare(b.Waiting, a.Waiting) })
	return out[:min(longestQueues, len(out))]
}
