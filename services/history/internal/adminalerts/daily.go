package adminalerts

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// lateFor is how long after its time a daily notice is still sent. After that it is left out.
const lateFor = 12 * time.Hour

// clockLayout is how the time of the daily notice is written in the settings.
const clockLayout = "15:04"

// LastDue returns the day of the last daily notice that fell due until now, and when it did. It counts days by the calendar of the
// zone, so that each day has one though clocks change: a time that is left out falls due as the clock is put on, one that
// comes twice falls due once.
func LastDue(now time.Time, zone *time.Location, clock string) (day string, at time.Time, err error) {
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

// daily sends the daily report once a day. After it is switched on, the first one is sent at the next time of day, not for one that has
// passed. It waits until the activity of recipients has been counted.
func (n *Notifier) daily(ctx context.Context, now time.Time, set *settings.Settings) error {
	if set.SMTP.DailyNotice == "" {
		return n.remove(ctx, control.MarkDaily)
	}
	day, at, err := LastDue(now, set.Email.Location, set.SMTP.DailyNotice)
	if err != nil {
		return err
	}
	m, err := n.load(ctx, control.MarkDaily)
	if err != nil {
		return err
	}
	if m.Of == "" || day > m.Of && now.Sub(at) > lateFor {
		_, err := n.health.PutMark(ctx, m.name, health.AlertState{Of: day, At: now, Notified: true}, m.revision)
		if errors.Is(err, health.ErrConflict) {
			return nil
		}
		return err
	}
	if day < m.Of || !m.unnotified(day, false, now) {
		return nil
	}
	if !n.Status.Complete() {
		return nil
	}
	all, err := n.Status.Status(ctx, "")
	if err != nil {
		return err
	}
	d := dayOf(all, now)
	notice := health.Notice{Kind: health.KindDaily, At: now, Thread: control.MarkDaily, Daily: &d}
	return n.notifyOnce(ctx, m, occurrence{state: health.AlertState{Of: day}, notice: notice, contacts: set.SMTP.AdminContacts})
}

// dayLength is what a daily notice looks back on.
const dayLength = 24 * time.Hour

// dayOf makes the daily report of a status: failing recipients first, then those with failures, with a queue, and the others.
func dayOf(s *outboundv1.Status, now time.Time) health.Daily {
	d := health.Daily{
		From: now.Add(-dayLength), Until: now, Relay: s.GetRelay().GetLine(), Attention: s.GetNotices(), Appliances: len(s.GetAppliances()),
	}
	for _, r := range s.GetRecipients() {
		d.Recipients = append(d.Recipients, dayOfRecipient(r))
	}
	slices.SortStableFunc(d.Recipients, func(a, b health.Day) int { return cmp.Compare(urgency(a), urgency(b)) })
	for _, a := range s.GetAppliances() {
		if a.GetSilent() {
			x := health.Silence{
				Appliance: a.GetApplianceId(), Name: a.GetDisplayName(), After: a.GetSilentAfter().AsDuration(), Never: a.GetLastEventTime() == nil,
			}
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
