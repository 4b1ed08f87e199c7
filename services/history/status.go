package history

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

type statusServer struct {
	outboundv1.UnimplementedStatusServiceServer
	s *Service
}

// GetStatus looks at every recipient's queue and newest record, and at the streams.
func (h *statusServer) GetStatus(ctx context.Context, req *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	if err := h.s.configured(ctx); err != nil {
		return nil, err
	}
	recipients := h.s.Config.Recipients()
	if id := req.GetRecipientId(); id != "" {
		r, ok := h.s.Config.Find(ctx, id)
		if !ok {
			return nil, rpc.NotFound("recipient", id)
		}
		recipients = []*recipient.Recipient{r}
	}
	looked, err := h.s.facts(ctx, recipients)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	status := &outboundv1.Status{Version: h.s.Version, Recipients: make([]*outboundv1.RecipientStatus, len(recipients))}
	for i, r := range recipients {
		status.Recipients[i] = recipientStatus(r, looked[i], now)
	}
	streams, err := h.s.Bus.StreamStates(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range streams {
		status.Streams = append(status.Streams, streamStatus(x))
	}
	status.Disk = h.s.disk(streams)
	if status.Services, err = h.s.processes.statuses(ctx); err != nil {
		return nil, err
	}
	endings := h.s.expiries(recipients)
	for _, e := range endings {
		status.Expiries = append(status.Expiries, expiryOf(e))
	}
	if status.Appliances, err = h.s.applianceStatuses(ctx); err != nil {
		return nil, err
	}
	if status.Relay, err = h.s.relay(ctx); err != nil {
		return nil, err
	}
	status.Notices = append(h.s.notices(status, recipients), endingNotices(endings, now)...)
	return status, nil
}

// recipientStatus says what the facts of a recipient come to.
func recipientStatus(r *recipient.Recipient, f recipientFacts, now time.Time) *outboundv1.RecipientStatus {
	s := &outboundv1.RecipientStatus{
		RecipientId: r.ID, DisplayName: r.DisplayName, Health: healthOf(r, f),
		QueuedEvents: int64(min(f.backlog.Waiting+f.backlog.Unsettled, 1<<62)), OldestQueuedTime: timestamp(f.backlog.Oldest),
		Channel: string(r.Channel()), Activity: f.pulse.shown(now), LastAttemptTime: timestamp(f.pulse.tried), LastDeliveredTime: timestamp(f.pulse.delivered),
	}
	s.LastAlertTime = timestamp(f.status.LastAlert)
	if s.GetHealth() == outboundv1.RecipientHealth_FAILING {
		st := f.status
		s.LastError, s.LastReason = words(st), string(st.Reason)
		s.FailingSinceTime, s.BreakerOpen = timestamp(st.Since), st.BreakerOpen
		// The senders write down what they see every few seconds, so that a next attempt may be the last one by now.
		if st.NextAttempt.After(f.pulse.tried) {
			s.NextAttemptTime = timestamp(st.NextAttempt)
		}
	}
	return s
}

func healthOf(r *recipient.Recipient, f recipientFacts) outboundv1.RecipientHealth_Health {
	switch {
	case r.Deleting:
		return outboundv1.RecipientHealth_DELETING
	case !r.Enabled && r.WhileDisabled == recipient.Hold:
		return outboundv1.RecipientHealth_PAUSED
	case !r.Enabled:
		return outboundv1.RecipientHealth_DISABLED
	case f.status.Health == health.Failing:
		return outboundv1.RecipientHealth_FAILING
	default:
		return outboundv1.RecipientHealth_OK
	}
}

// words tell an error: its reason, the receiver's code if there was one, and the detail.
func words(st health.Status) string {
	out := string(st.Reason)
	if st.Code != 0 {
		out += fmt.Sprintf(" %d", st.Code)
	}
	if st.Detail != "" {
		out += ": " + toValid(st.Detail)
	}
	return out
}

// called is what people call a recipient: its name, and its id if that is another.
func called(r *recipient.Recipient) string { return calledBy(r.DisplayName, r.ID) }

func calledBy(name, id string) string {
	if name == "" || strings.EqualFold(name, id) {
		return id
	}
	return fmt.Sprintf("%s (%s)", toValid(name), id)
}

// silentNotice names the appliances that have published nothing for longer than they may; nil if there is none.
func silentNotice(appliances []*outboundv1.ApplianceStatus) []string {
	var silent []string
	for _, a := range appliances {
		if a.GetSilent() {
			silent = append(silent, calledBy(a.GetDisplayName(), a.GetApplianceId()))
		}
	}
	if len(silent) == 0 {
		return nil
	}
	return []string{"Silent: " + strings.Join(silent, ", ") + "."}
}

// fullFrom is the share of EVENTS from which its filling is told, in percent.
const fullFrom = 80

// notices say what needs attention.
func (s *Service) notices(status *outboundv1.Status, recipients []*recipient.Recipient) []string {
	var out []string
	switch {
	case s.Broker == EmbeddedInterval:
		out = append(out, "The broker syncs its files at intervals: accepted events may be lost if the host fails. Start with --sync always to prevent this.")
	case s.Broker == ExternalBroker && !s.o.SyncConfirmed:
		out = append(out, "The broker is external: the durability of accepted events depends on its sync_interval. Confirm that nats-server runs with sync_interval: always, then set syncConfirmed in the options of the history service.")
	}
	for _, x := range status.GetStreams() {
		// HISTORY is a log that drops its oldest records: it is meant to be full.
		if x.GetName() == bus.StreamEvents && x.GetMaxBytes() > 0 && x.GetBytes()/fullFrom >= x.GetMaxBytes()/100 {
			out = append(out, fmt.Sprintf("The stream %s is %d %% full. When it is full, events are refused. Check which recipient's queue is long, or raise the limit.",
				x.GetName(), x.GetBytes()*100/x.GetMaxBytes()))
		}
	}
	var failing []string
	mail := false
	for i, r := range recipients {
		mail = mail || r.Email != nil && r.Enabled
		if status.GetRecipients()[i].GetHealth() == outboundv1.RecipientHealth_FAILING {
			failing = append(failing, called(r))
		}
	}
	if len(failing) > 0 {
		out = append(out, "Failing: "+strings.Join(failing, ", ")+".")
	}
	out = append(out, silentNotice(status.GetAppliances())...)
	out = append(out, cutNotices(recipients, time.Now())...)
	if mail && s.Config.Settings().SMTP.Host == "" {
		out = append(out, "No SMTP relay configured; emails are queued. Set a host under Settings → Email relay.")
	}
	return out
}
