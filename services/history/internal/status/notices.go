package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// displayName returns the name of a recipient, and its id if that differs.
func displayName(r *recipient.Recipient) string { return displayNameOf(r.DisplayName, r.ID) }

func displayNameOf(name, id string) string {
	if name == "" || strings.EqualFold(name, id) {
		return id
	}
	return fmt.Sprintf("%s (%s)", protofield.Text(name), id)
}

// silentNotice lists the appliances that have published nothing for longer than they may; nil if there is none.
func silentNotice(appliances []*outboundv1.ApplianceStatus) []string {
	var silent []string
	for _, a := range appliances {
		if a.GetSilent() {
			silent = append(silent, displayNameOf(a.GetDisplayName(), a.GetApplianceId()))
		}
	}
	if len(silent) == 0 {
		return nil
	}
	return []string{"Silent: " + several(silent) + "."}
}

// mostNamed is how many are named in one notice.
const mostNamed = 10

// several lists names, at most ten, and says how many more there are.
func several(names []string) string {
	if more := len(names) - mostNamed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), more)
	}
	return strings.Join(names, ", ")
}

// FullFrom is the share of EVENTS from which a notice says that it fills, in percent.
const FullFrom = 80

// notices says what needs attention.
func (s *Reporter) notices(status *outboundv1.Status, recipients []*recipient.Recipient) []string {
	var out []string
	if s.o.DurabilityNotice != "" {
		out = append(out, s.o.DurabilityNotice)
	}
	for _, x := range status.GetStreams() {
		// HISTORY is a log that drops its oldest records: it is meant to be full.
		if x.GetName() == bus.StreamEvents && x.GetMaxBytes() > 0 && x.GetBytes()/FullFrom >= x.GetMaxBytes()/100 {
			out = append(out, fmt.Sprintf("The stream %s is %d %% full. When it is full, events are refused. Check which recipient's queue is "+
				"long, or raise the limit.",
				x.GetName(), x.GetBytes()*100/x.GetMaxBytes()))
		}
	}
	out = append(out, forecastNotices(status, s.Bus.Now())...)
	var failing []string
	relayed := false
	for i, r := range recipients {
		relayed = relayed || r.Describe().Relay && r.Enabled
		if status.GetRecipients()[i].GetHealth() == outboundv1.RecipientHealth_FAILING {
			failing = append(failing, displayName(r))
		}
	}
	if len(failing) > 0 {
		out = append(out, "Failing: "+several(failing)+".")
	}
	out = append(out, silentNotice(status.GetAppliances())...)
	out = append(out, backlogNotices(recipients, s.Bus.Now())...)
	if relayed && s.Config.Settings().SMTP.Host == "" {
		out = append(out, "No SMTP relay configured; emails are queued. Set a host under Settings → Email relay.")
	}
	return out
}

// expireWithin is how far ahead of the first expiry a recipient that fails has a notice.
const expireWithin = health.ExpiryWithin

// minuteUTC is how notices write a time.
const minuteUTC = "2006-01-02 15:04 UTC"

// forecastNotices says what is full soon, and which recipients that fail lose deliveries soon.
func forecastNotices(status *outboundv1.Status, now time.Time) []string {
	var out []string
	for _, x := range status.GetStreams() {
		if x.GetFullTime() != nil {
			const remedy = "events are refused then. Check which recipient's queue is long, or raise the limit"
			out = append(out, fullNotice("The stream "+x.GetName(), remedy, x.GetFullTime().AsTime(), now)...)
		}
	}
	if d := status.GetDisk(); d.GetFullTime() != nil {
		const remedy = "free some space, or move the data directory to a larger disk"
		out = append(out, fullNotice("The disk", remedy, d.GetFullTime().AsTime(), now)...)
	}
	var soon []string
	for _, r := range status.GetRecipients() {
		if at := r.GetNextExpireTime(); at != nil && at.AsTime().Sub(now) <= expireWithin {
			said := fmt.Sprintf("%s from %s on, %d waiting", displayNameOf(r.GetDisplayName(), r.GetRecipientId()),
				at.AsTime().UTC().Format(minuteUTC), r.GetQueuedEvents())
			if n := r.GetExpiringDeliveries(); n > 0 {
				said += fmt.Sprintf(" (%d expire before %s)", n, r.GetExpiringBeforeTime().AsTime().UTC().Format(minuteUTC))
			}
			soon = append(soon, said)
		}
	}
	if len(soon) > 0 {
		out = append(out, "Deliveries expire unless their recipients work again: "+several(soon)+".")
	}
	return out
}
