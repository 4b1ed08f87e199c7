package recipients

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// disablePage asks what happens to events while a recipient is disabled.
type disablePage struct {
	Recipient *outboundv1.Recipient
	// Back is the page to return to.
	Back string
}

// Holds reports whether the recipient is set to hold its events.
func (p disablePage) Holds() bool {
	return p.Recipient.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD
}

// askDisable asks whether a recipient is to hold or to skip its events.
func askDisable(r *web.Request) error {
	stored, err := r.API.Recipients.GetRecipient(r.Context(), &outboundv1.GetRecipientRequest{Id: r.PathValue("id")})
	if err != nil {
		return err
	}
	p := disablePage{Recipient: stored, Back: web.LocalPath(r.URL.Query().Get("back"))}
	if r.Part() {
		return r.RenderPart("disable", "question", p)
	}
	return r.Render("disable", p)
}

// setEnabled enables or disables a recipient in place. What happens to events meanwhile is set with it, and is what is offered first the
// next time.
func setEnabled(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	wanted := &outboundv1.Recipient{Id: r.PathValue("id"), Enabled: proto.Bool(form.On("enabled"))}
	mask := []string{"enabled"}
	if policy, ok := outboundv1.Recipient_WhileDisabled_Policy_value[form.Get("whileDisabled")]; ok && policy != 0 {
		wanted.WhileDisabled = outboundv1.Recipient_WhileDisabled_Policy(policy)
		mask = append(mask, "while_disabled")
	}
	changed, err := r.API.Recipients.UpdateRecipient(r.Context(), &outboundv1.UpdateRecipientRequest{
		Recipient: wanted, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
	})
	if err != nil {
		return err
	}
	if !r.Part() {
		r.Flash(web.Good, changed.GetDisplayName()+" is "+enabledWord(changed)+".")
		return r.Redirect(web.LocalPath(form.Get("back")))
	}
	return r.RenderPart("list", "cells", []row{recipientStatus(r, changed)})
}

func enabledWord(r *outboundv1.Recipient) string {
	switch {
	case r.GetEnabled():
		return "enabled"
	case r.GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD:
		return "paused: events are held until you enable it"
	default:
		return "disabled: events are skipped"
	}
}

// probeNow has a recipient attempted at once that its breaker pauses.
func probeNow(r *web.Request) error {
	id := r.PathValue("id")
	answer, err := r.API.Deliveries.ProbeRecipient(r.Context(), &outboundv1.ProbeRecipientRequest{Id: id})
	text, ok := faultText(err)
	switch {
	case !ok:
		return err
	case text != "":
		r.Flash(web.Bad, text)
	case answer.GetBreakerOpen():
		r.Flash(web.Good, "Probing now. If the attempt succeeds, the queued deliveries follow.")
	default:
		r.Flash(web.Good, "Attempting now. The breaker is not open: deliveries are attempted when they are due.")
	}
	if !r.Part() {
		return r.Redirect("/recipients/" + id)
	}
	stored, err := r.API.Recipients.GetRecipient(r.Context(), &outboundv1.GetRecipientRequest{Id: id})
	if err != nil {
		return err
	}
	return r.RenderPart("edit", "status", recipientStatus(r, stored))
}

// skipped are the events that a recipient did not get because it was disabled.
type skipped struct {
	*outboundv1.RecipientStatus
	// Replay is the ID of a backfill that covers them.
	Replay string
}

// Skipped returns what was skipped when the recipient was last disabled with SKIP; nil if it was not, or if nothing was skipped and it is
// enabled again.
func (r row) Skipped() *skipped {
	s := r.Status
	if s.GetSkippedSinceTime() == nil || s.GetSkippedEvents() == 0 && s.GetSkippedUntilTime() != nil {
		return nil
	}
	return &skipped{RecipientStatus: s, Replay: r.backfilled}
}

// Backfill returns the address of the preview of a backfill of exactly these events.
func (s skipped) Backfill() string {
	until := ""
	if s.GetSkippedUntilTime() != nil {
		until = s.GetSkippedUntilTime().AsTime().Format(time.RFC3339Nano)
	}
	return web.Address("/replays/new", "kind", "backfill", "toRecipientId", s.GetRecipientId(),
		"backfill.startTime", s.GetSkippedSinceTime().AsTime().Format(time.RFC3339Nano), "backfill.endTime", until, "preview", "1")
}

// findBackfill looks for a backfill that was made of what was skipped.
func findBackfill(r *web.Request, s *outboundv1.RecipientStatus) string {
	if s.GetSkippedEvents() == 0 || s.GetSkippedUntilTime() == nil {
		return ""
	}
	answer, err := r.API.Deliveries.ListReplays(r.Context(), &outboundv1.ListReplaysRequest{})
	if err != nil {
		return ""
	}
	from, until := s.GetSkippedSinceTime().AsTime(), s.GetSkippedUntilTime().AsTime()
	for _, x := range answer.GetReplays() {
		b := x.GetBackfill()
		if b == nil || x.GetToRecipientId() != s.GetRecipientId() || b.GetStartTime().AsTime().After(from) {
			continue
		}
		end := x.GetCreateTime().AsTime()
		if b.GetEndTime() != nil {
			end = b.GetEndTime().AsTime()
		}
		running := x.GetState() == outboundv1.Replay_RUNNING || x.GetState() == outboundv1.Replay_DONE
		if running && !end.Before(until) {
			return x.GetId()
		}
	}
	return ""
}
