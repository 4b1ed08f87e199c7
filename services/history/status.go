package history

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/standing"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

type health struct {
	outboundv1.UnimplementedStatusServiceServer
	s *Service
}

// GetStatus looks at every recipient's queue and newest record, and at the streams.
func (h *health) GetStatus(ctx context.Context, req *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	if err := h.s.configured(ctx); err != nil {
		return nil, err
	}
	recipients := h.s.Config.Recipients()
	if id := req.GetRecipientId(); id != "" {
		r, ok := h.s.Config.Recipient(id)
		if !ok {
			return nil, rpc.NotFound("recipient", id)
		}
		recipients = []*recipient.Recipient{r}
	}
	standings, err := bus.NewStandings(h.s.Bus).All(ctx)
	if err != nil {
		return nil, err
	}
	status := &outboundv1.Status{Version: h.s.Version, Recipients: make([]*outboundv1.RecipientStatus, len(recipients))}
	g, looking := errgroup.WithContext(ctx)
	g.SetLimit(h.s.o.Lookups)
	for i, r := range recipients {
		g.Go(func() error {
			f, err := h.s.facts(looking, r)
			if err != nil {
				return fmt.Errorf("look at recipient %s: %w", r.ID, err)
			}
			f.standing = standings.Of(r)
			status.Recipients[i] = judge(r, f)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	streams, err := h.s.Bus.StreamStates(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range streams {
		status.Streams = append(status.Streams, &outboundv1.StreamStatus{
			Name: x.Name, Messages: x.Messages, Bytes: x.Bytes, MaxBytes: x.MaxBytes, LastSequence: x.LastSequence,
		})
	}
	status.Notices = h.s.notices(status, recipients)
	return status, nil
}

// facts are what is known of a recipient's deliveries.
type facts struct {
	backlog bus.Backlog
	// last is the newest attempt, lastDelivered the newest success; nil if the log has none.
	last, lastDelivered *bus.StoredRecord
	// standing is what the senders keep.
	standing standing.Status
}

// attemptsLooked is how many records are looked through for the last attempt.
const attemptsLooked = 1000

func (s *Service) facts(ctx context.Context, r *recipient.Recipient) (facts, error) {
	var f facts
	var err error
	if f.backlog, err = s.Bus.Backlog(ctx, r.Channel(), r.ID); err != nil && !errors.Is(err, bus.ErrNotFound) {
		return f, err
	}
	if f.last, err = s.lastAttempt(ctx, r.ID); err != nil || f.last == nil {
		return f, err
	}
	if f.lastDelivered, err = s.newest(ctx, bus.AttemptFilter{Recipient: r.ID, State: delivery.StateDelivered}, func(bus.StoredRecord) bool { return true }); err != nil {
		return f, err
	}
	return f, nil
}

// lastAttempt is the newest record that tells of an attempt, or of one that the breaker spared: neither skips nor
// cancellations say anything of the receiver.
func (s *Service) lastAttempt(ctx context.Context, id string) (*bus.StoredRecord, error) {
	r, ok, err := s.Log.LatestOf(ctx, id)
	if err != nil || !ok {
		return nil, err
	}
	if tried(r) {
		return &r, nil
	}
	return s.newest(ctx, bus.AttemptFilter{Recipient: id}, tried)
}

func (s *Service) newest(ctx context.Context, f bus.AttemptFilter, is func(bus.StoredRecord) bool) (*bus.StoredRecord, error) {
	records, err := s.Log.Attempts(ctx, f, 0, attemptsLooked)
	for _, r := range records {
		if is(r) {
			return &r, err
		}
	}
	return nil, err
}

func tried(r bus.StoredRecord) bool { return r.Attempt > 0 || r.State == delivery.StateExpired }

// judge says what the facts of a recipient come to.
func judge(r *recipient.Recipient, f facts) *outboundv1.RecipientStatus {
	s := &outboundv1.RecipientStatus{
		RecipientId: r.ID, DisplayName: r.DisplayName, Health: healthOf(r, f),
		QueuedEvents: int64(min(f.backlog.Waiting+f.backlog.Unsettled, 1<<62)), OldestQueuedTime: timestamp(f.backlog.Oldest),
	}
	if f.last != nil {
		s.LastAttemptTime = timeOf(f.last.LastAttempt)
	}
	if f.lastDelivered != nil {
		s.LastDeliveredTime = timeOf(f.lastDelivered.LastAttempt)
	}
	s.LastAlertTime = timestamp(f.standing.LastAlert)
	if s.GetHealth() == outboundv1.RecipientHealth_FAILING {
		st := f.standing
		s.LastError, s.LastReason = words(st), string(st.Reason)
		s.NextAttemptTime, s.FailingSinceTime, s.BreakerOpen = timestamp(st.NextAttempt), timestamp(st.Since), st.BreakerOpen
	}
	return s
}

func healthOf(r *recipient.Recipient, f facts) outboundv1.RecipientHealth_Health {
	switch {
	case r.Deleting:
		return outboundv1.RecipientHealth_DELETING
	case !r.Enabled && r.WhileDisabled == recipient.Hold:
		return outboundv1.RecipientHealth_PAUSED
	case !r.Enabled:
		return outboundv1.RecipientHealth_DISABLED
	case f.standing.Health == standing.Failing:
		return outboundv1.RecipientHealth_FAILING
	default:
		return outboundv1.RecipientHealth_OK
	}
}

// words tell an error: its reason, the receiver's code if there was one, and the detail.
func words(st standing.Status) string {
	out := string(st.Reason)
	if st.Code != 0 {
		out += fmt.Sprintf(" %d", st.Code)
	}
	if st.Detail != "" {
		out += ": " + toValid(st.Detail)
	}
	return out
}

// fullFrom is the share of EVENTS from which its filling is told, in percent.
const fullFrom = 80

// notices say what needs attention.
func (s *Service) notices(status *outboundv1.Status, recipients []*recipient.Recipient) []string {
	var out []string
	switch {
	case s.Broker == EmbeddedInterval:
		out = append(out, "The broker syncs its files now and then: an accepted event may be lost if the host fails. Start with --sync always to keep it.")
	case s.Broker == ExternalBroker && !s.o.SyncConfirmed:
		out = append(out, "The broker is external: what is accepted is kept as its sync_interval says. Confirm that nats-server runs with sync_interval: always, then set syncConfirmed in the options of the history service.")
	}
	for _, x := range status.GetStreams() {
		// HISTORY is a log that drops its oldest records: it is meant to be full.
		if x.GetName() == bus.StreamEvents && x.GetMaxBytes() > 0 && x.GetBytes()/fullFrom >= x.GetMaxBytes()/100 {
			out = append(out, fmt.Sprintf("The stream %s is %d %% full; when full, events are refused. See which recipient's queue holds it, or raise its limit.",
				x.GetName(), x.GetBytes()*100/x.GetMaxBytes()))
		}
	}
	var failing []string
	mail := false
	for i, r := range recipients {
		mail = mail || r.Email != nil && r.Enabled
		if status.GetRecipients()[i].GetHealth() == outboundv1.RecipientHealth_FAILING {
			failing = append(failing, r.ID)
		}
	}
	if len(failing) > 0 {
		out = append(out, "Failing: "+strings.Join(failing, ", ")+".")
	}
	if mail && s.Config.Settings().SMTP.Host == "" {
		out = append(out, "No SMTP relay is set, so mail waits. Set it with outbound settings smtp set --host.")
	}
	return out
}
