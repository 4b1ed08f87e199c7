package deliveries

import (
	"bytes"
	"encoding/json"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// deliveryPage is one delivery, as a page or beside the list.
type deliveryPage struct {
	row
	Whole *outboundv1.DeliveryDetail
	// Beside says that it is shown beside the list.
	Beside bool
	// Curl is the request as a command, empty if there is none.
	Curl string
	// Event is the event in JSON, a field a line.
	Event string
	Steps []step
}

// step is an attempt, with what is other than at the one before.
type step struct {
	*outboundv1.Attempt
	First bool
	// Changes are the facts that changed, in words.
	Changes []string
	// Lines are the lines of the answer that changed; Same says that none did.
	Lines []line
	Same  bool
}

// Took is how long the attempt took, in words.
func (s step) Took() string { return took(s.GetTookMs()) }

// ChangesAddress is where the recipient's revisions are told.
func (p deliveryPage) ChangesAddress() string {
	return web.Address("/settings/changes", "resource", "recipients/"+p.GetRecipientId())
}

// Here is the address of this page; it is the delivery's for good.
func (p deliveryPage) Here() string { return p.Address() }

// Last is the last attempt that has an answer.
func (p deliveryPage) Last() *outboundv1.Attempt {
	for i := len(p.Steps) - 1; i >= 0; i-- {
		if p.Steps[i].GetNumber() > 0 {
			return p.Steps[i].Attempt
		}
	}
	return nil
}

// ReplayAddress is the page of the replay that the delivery is of.
func (p deliveryPage) ReplayAddress() string {
	return web.Address("/deliveries", "replayId", p.GetReplayId())
}

// FilterAddress lists the deliveries that share something with this one.
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
		row: rows([]*outboundv1.Delivery{detail.GetDelivery()}, labels)[0], Whole: detail, Beside: r.Part(), Steps: steps(detail.GetAttempts()),
		Event: indented(detail.GetCloudEventJson()),
	}
	if h := detail.GetHttp(); h != nil {
		p.Curl = curl(h)
	}
	if p.Beside {
		return r.RenderPart("delivery", "beside", p)
	}
	return r.Render("delivery", p)
}

// indented is JSON with a field a line; what is no JSON is left as it is.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}

// steps compares each attempt with the one before.
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
		// What was done by hand has no answer that the next could be compared with.
		if a.GetNumber() > 0 || before == nil {
			before = a
		}
		out = append(out, s)
	}
	return out
}

// changesOf are the facts that an attempt has other than the one before.
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
	// What was done by hand says so itself.
	if after.GetNumber() > 0 {
		change("reason", web.ReasonWords(before.GetReason()), web.ReasonWords(after.GetReason()))
		change("code", number(before.GetStatusCode()), number(after.GetStatusCode()))
		change("recipient's revision", revision(before), revision(after))
	}
	return out
}

func orNothing(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
