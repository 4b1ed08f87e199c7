package deliveries

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// deliveryPage is the data of a delivery, shown as a page or in the drawer of the list.
type deliveryPage struct {
	row
	// Details has the attempts, the request and the addresses.
	Details *outboundv1.DeliveryDetail
	// Drawer reports whether the delivery is shown in the drawer.
	Drawer bool
	// Curl is the request as a curl command; empty if there is none.
	Curl string
	// Event is the event as indented JSON.
	Event string
	// Waiting is how many events are queued before or beside one without an attempt, as a sentence.
	Waiting string
	// Paused is the status of a recipient that its breaker pauses.
	Paused *outboundv1.RecipientStatus
	Steps  []step
}

// step is an attempt and its differences from the previous attempt.
type step struct {
	*outboundv1.Attempt
	First bool
	// Changes are the changed facts in words.
	Changes []string
	// Lines are the changed lines of the response; Same reports that the response did not change.
	Lines []line
	Same  bool
}

// Took returns the duration of the attempt in words.
func (s step) Took() string { return took(s.GetTookMs()) }

// ChangesAddress returns the address of the recipient's revisions.
func (p deliveryPage) ChangesAddress() string {
	return web.Address("/settings/changes", "resource", "recipients/"+p.GetRecipientId())
}

// Here returns the permanent address of the delivery.
func (p deliveryPage) Here() string { return p.Address() }

// Last returns the last attempt that was made.
func (p deliveryPage) Last() *outboundv1.Attempt {
	for i := len(p.Steps) - 1; i >= 0; i-- {
		if p.Steps[i].GetNumber() > 0 {
			return p.Steps[i].Attempt
		}
	}
	return nil
}

// ReplayAddress lists the deliveries of the same replay.
func (p deliveryPage) ReplayAddress() string {
	return web.Address("/deliveries", "replayId", p.GetReplayId())
}

// FilterAddress lists the deliveries with the same value of a field.
func (p deliveryPage) FilterAddress(name, value string) string {
	return web.Address("/deliveries", name, value)
}

func showDelivery(r *web.Request) error {
	detail, err := r.API.Deliveries.GetDelivery(r.Context(), &outboundv1.GetDeliveryRequest{
		RecipientId: r.PathValue("recipient"), EventId: r.PathValue("event"), ReplayId: r.URL.Query().Get("replayId"),
	})
	if err != nil {
		return err
	}
	labels := web.Labels(web.TypeChoices(r.Context(), r.API))
	p := deliveryPage{
		row: rows([]*outboundv1.Delivery{detail.GetDelivery()}, labels)[0], Details: detail, Drawer: r.Part(), Steps: steps(detail.GetAttempts()),
		Event: indented(detail.GetCloudEventJson()),
	}
	if h := detail.GetHttp(); h != nil {
		p.Curl = curl(h)
	}
	if p.Open() {
		p.waitsFor(r)
	}
	if p.Drawer {
		return r.RenderPart("delivery", "drawer", p)
	}
	return r.Render("delivery", p)
}

// waitsFor adds what the status of the recipient says about a delivery that waits, if it is available.
func (p *deliveryPage) waitsFor(r *web.Request) {
	answer, err := r.API.Status.GetStatus(r.Context(), &outboundv1.GetStatusRequest{RecipientId: p.GetRecipientId()})
	if err != nil || len(answer.GetRecipients()) != 1 {
		return
	}
	switch s := answer.GetRecipients()[0]; {
	case s.GetBreakerOpen() && p.GetWaitReason() == "breaker_open":
		p.Paused = s
	case len(p.Steps) > 0:
	case s.GetQueuedEvents() == 1:
		p.Waiting = "1 event is queued for the recipient."
	case s.GetQueuedEvents() > 1:
		p.Waiting = strconv.FormatInt(s.GetQueuedEvents(), 10) + " events are queued for the recipient."
	}
}

// indented returns indented JSON, or the text itself if it is not JSON.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// steps compares each attempt with the previous one.
func steps(of []*outboundv1.Attempt) []step {
	out := make([]step, 0, len(of))
	var before *outboundv1.Attempt
	for _, a := range of {
		s := step{Attempt: a, First: before == nil}
		if before != nil {
			s.Changes = changesOf(before, a)
			if a.GetNumber() > 0 {
				s.Lines = diff(before.GetResponseExcerpt(), a.GetResponseExcerpt())
				s.Same = len(s.Lines) == 0 && a.GetResponseExcerpt() != ""
			}
		}
		// A manual change has no response to compare the next attempt with.
		if a.GetNumber() > 0 || before == nil {
			before = a
		}
		out = append(out, s)
	}
	return out
}

// changesOf returns the facts that differ from the previous attempt.
func changesOf(before, after *outboundv1.Attempt) []string {
	var out []string
	change := func(what, from, to string) {
		if from == to {
			return
		}
		out = append(out, what+": "+orNothing(from)+" → "+orNothing(to))
	}
	if before.GetState() != after.GetState() {
		change("state", strings.ToLower(before.GetState().String()), strings.ToLower(after.GetState().String()))
	}
	// The reason of a manual change is shown in its own column.
	if after.GetNumber() > 0 {
		change("reason", web.ReasonWords(before.GetReason()), web.ReasonWords(after.GetReason()))
		change("code", number(before.GetStatusCode()), number(after.GetStatusCode()))
		change("recipient revision", revision(before), revision(after))
	}
	return out
}

func orNothing(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
