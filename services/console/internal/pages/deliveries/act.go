package deliveries

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// target encodes a delivery for a form. Ids contain no slashes.
func target(recipient, event, replay string) string {
	return url.PathEscape(recipient) + "/" + url.PathEscape(event) + "/" + url.PathEscape(replay)
}

// readTarget decodes the result of target.
func readTarget(text string) (*outboundv1.RetryDeliveriesRequest_Target, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return nil, false
	}
	for i := range parts {
		p, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, false
		}
		parts[i] = p
	}
	return &outboundv1.RetryDeliveriesRequest_Target{RecipientId: parts[0], EventId: parts[1], ReplayId: parts[2]}, parts[0] != "" &&
		parts[1] != ""
}

var (
	errNothing = web.Fail(http.StatusBadRequest, "No deliveries selected", "Select at least one delivery.")
	errTarget  = web.Fail(http.StatusBadRequest, "Invalid delivery", "Reload the list of deliveries and select them there.")
	errAct     = web.Fail(http.StatusBadRequest, "Unknown action", "Use the buttons of the list of deliveries.")
)

// readTargets returns the deliveries that a form selects.
func readTargets(form *web.Form) ([]*outboundv1.RetryDeliveriesRequest_Target, error) {
	var out []*outboundv1.RetryDeliveriesRequest_Target
	for _, text := range form.All("target") {
		t, ok := readTarget(text)
		if !ok {
			return nil, errTarget
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, errNothing
	}
	return out, nil
}

// askPage asks for confirmation of an action and names its consequence.
type askPage struct {
	Form *web.Form
	// Title is the question and Text names the consequence. Yes and No label the buttons; No defaults to Cancel.
	Title, Text, Yes, No string
	// Action is the path that the form posts to; Back is the page to return to.
	Action, Back string
	Targets      []string
	// Named are the first deliveries; Rest is the number of the others.
	Named []*outboundv1.RetryDeliveriesRequest_Target
	Rest  int
	// Danger marks an action that cannot be undone. Extends adds the field for the duration.
	Danger, Extends bool
}

// namedMost is the number of deliveries that a confirmation names.
const namedMost = 5

func ask(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	targets, err := readTargets(form)
	if err != nil {
		return err
	}
	p, ok := question(form.Get("act"), len(targets))
	if !ok {
		return errAct
	}
	p.Form, p.Targets, p.Back = web.NewForm(map[string]string{"by": "24 h"}), form.All("target"), back(r, form)
	p.Named = targets[:min(len(targets), namedMost)]
	p.Rest = len(targets) - len(p.Named)
	return renderAsk(r, p)
}

func renderAsk(r *web.Request, p askPage) error {
	if r.Part() {
		return r.RenderPart("ask", "question", p)
	}
	return r.Render("ask", p)
}

// question returns the confirmation of an action on n deliveries.
func question(act string, n int) (askPage, bool) {
	deliveries := "this delivery"
	if n != 1 {
		deliveries = fmt.Sprintf("these %d deliveries", n)
	}
	switch act {
	case "retry":
		return askPage{Action: "/deliveries/retry", Yes: "Retry", Title: "Retry " + deliveries + "?",
			Text: "Queues the event again as a new delivery, whatever the state of this one. A recipient that already has the event receives " +
				"it again, with the same webhook-id."}, true
	case "send-now":
		return askPage{Action: "/deliveries/send-now", Yes: "Send now", Title: "Send " + deliveries + " now?",
			Text: "Pending deliveries are attempted immediately. Final deliveries and attempts in progress do not change."}, true
	case "extend":
		return askPage{Action: "/deliveries/extend", Yes: "Extend", Extends: true, Title: "Extend " + deliveries + "?",
			Text: "Pending deliveries are retried until then, at most 8 days after acceptance. This never shortens the retry window."}, true
	case "cancel":
		return askPage{Action: "/deliveries/cancel", Yes: "Cancel " + deliveries, No: "Keep " + deliveries, Danger: true, Title: "Cancel " +
			deliveries + "?",
			Text: "Pending deliveries are cancelled: the recipient does not receive the event unless you retry it. An attempt in progress may " +
				"still arrive."}, true
	default:
		return askPage{}, false
	}
}

// back returns the page to return to after a change: the page of the htmx request, or the value of the form.
func back(r *web.Request, form *web.Form) string {
	if u, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil && u.Path != "" {
		return web.LocalPath(u.RequestURI())
	}
	if b := form.Get("back"); b != "" {
		return web.LocalPath(b)
	}
	return "/deliveries"
}

func retry(r *web.Request) error {
	form, targets, err := change(r)
	if err != nil {
		return err
	}
	answer, err := r.API.Deliveries.RetryDeliveries(r.Context(), &outboundv1.RetryDeliveriesRequest{Deliveries: targets})
	if err != nil {
		return refused(r, form, err)
	}
	r.Flash(web.Good, fmt.Sprintf("Retry queued: %d. The new deliveries are listed below.", answer.GetQueued()))
	return r.Redirect(web.Address("/deliveries", "replayId", answer.GetReplayId()))
}

func sendNow(r *web.Request) error {
	form, targets, err := change(r)
	if err != nil {
		return err
	}
	answer, err := r.API.Deliveries.SendNow(r.Context(), &outboundv1.SendNowRequest{Deliveries: targets})
	return changed(r, form, answer, err, "Attempting now")
}

func cancel(r *web.Request) error {
	form, targets, err := change(r)
	if err != nil {
		return err
	}
	answer, err := r.API.Deliveries.CancelDeliveries(r.Context(), &outboundv1.CancelDeliveriesRequest{Deliveries: targets})
	return changed(r, form, answer, err, "Cancelled")
}

func extend(r *web.Request) error {
	form, targets, err := change(r)
	if err != nil {
		return err
	}
	asked := &outboundv1.ExtendDeliveriesRequest{Deliveries: targets}
	d, ok := web.ParseWords(form.Get("by"))
	if !ok {
		form.Add("by", "is not a duration: use e.g. 30 min, 24 h or 2 d")
	}
	asked.By = durationpb.New(d)
	var answer *outboundv1.ChangeDeliveriesResponse
	if ok {
		if answer, err = r.API.Deliveries.ExtendDeliveries(r.Context(), asked); err == nil {
			return changed(r, form, answer, nil, "Extended by "+web.Words(d))
		}
		if !form.Refused(err) {
			return err
		}
	}
	p, _ := question("extend", len(targets))
	p.Form, p.Targets, p.Back = form, form.All("target"), form.Get("back")
	r.Status(http.StatusUnprocessableEntity)
	return renderAsk(r, p)
}

// change reads a form and the deliveries that it selects.
func change(r *web.Request) (*web.Form, []*outboundv1.RetryDeliveriesRequest_Target, error) {
	form, err := r.Input()
	if err != nil {
		return nil, nil, err
	}
	targets, err := readTargets(form)
	return form, targets, err
}

// reasonsShown is the number of unchanged deliveries that a notice explains.
const reasonsShown = 3

// changed shows how many deliveries changed and why the others did not.
func changed(r *web.Request, form *web.Form, answer *outboundv1.ChangeDeliveriesResponse, err error, what string) error {
	if err != nil {
		return refused(r, form, err)
	}
	if n := answer.GetChanged(); n > 0 {
		r.Flash(web.Good, fmt.Sprintf("%s: %d.", what, n))
	}
	if left := answer.GetUnchanged(); len(left) > 0 {
		var why []string
		for _, u := range left[:min(len(left), reasonsShown)] {
			why = append(why, cut(u.GetEventId(), 60)+" to "+cut(u.GetRecipientId(), 60)+": "+cut(u.GetDetail(), 160))
		}
		if n := len(left) - len(why); n > 0 {
			why = append(why, fmt.Sprintf("and %d more", n))
		}
		r.Flash(web.Note, fmt.Sprintf("Not changed: %d. %s.", len(left), strings.Join(why, "; ")))
	}
	return r.Redirect(web.LocalPath(form.Get("back")))
}

func cut(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// refused shows why a service refused a request as a notice. It returns any other error.
func refused(r *web.Request, form *web.Form, err error) error {
	violations := &web.Form{}
	if !violations.Refused(err) {
		return err
	}
	text := violations.Notice
	for _, f := range violations.Faults {
		text = strings.TrimSpace(text + " " + web.PlainWords(f.Field) + ": " + f.Text)
	}
	r.Flash(web.Bad, cut(text, 600))
	return r.Redirect(web.LocalPath(form.Get("back")))
}
