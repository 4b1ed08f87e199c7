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

// target names a delivery in forms. Ids have no slashes.
func target(recipient, event, replay string) string {
	return url.PathEscape(recipient) + "/" + url.PathEscape(event) + "/" + url.PathEscape(replay)
}

// readTarget reads what target wrote.
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
	return &outboundv1.RetryDeliveriesRequest_Target{RecipientId: parts[0], EventId: parts[1], ReplayId: parts[2]}, parts[0] != "" && parts[1] != ""
}

var (
	errNothing = web.Fail(http.StatusBadRequest, "Nothing is selected", "Tick the deliveries first that you mean.")
	errTarget  = web.Fail(http.StatusBadRequest, "That names no delivery", "Open the list of deliveries anew and select them there.")
	errAct     = web.Fail(http.StatusBadRequest, "That is nothing that can be done to deliveries", "Use the buttons of the list.")
)

// readTargets reads the deliveries that a form is about.
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

// askPage asks whether something is meant, and says what will happen.
type askPage struct {
	Form *web.Form
	// Title asks, Text says what will happen, Yes is the button's word.
	Title, Text, Yes string
	// Action is where the answer goes; Back is where to go on afterwards.
	Action, Back string
	Targets      []string
	// Named are the deliveries, the first few; Rest is how many more there are.
	Named []*outboundv1.RetryDeliveriesRequest_Target
	Rest  int
	// Danger is for what cannot be taken back, Extends asks for how long.
	Danger, Extends bool
}

// namedMost is how many deliveries are named before something is done to them.
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

// question says what will happen.
func question(act string, n int) (askPage, bool) {
	those := "this delivery"
	if n != 1 {
		those = fmt.Sprintf("these %d deliveries", n)
	}
	switch act {
	case "retry":
		return askPage{Action: "/deliveries/retry", Yes: "Retry", Title: "Retry " + those + "?",
			Text: "The event is sent again as a new delivery, whatever became of this one. A receiver that has it already gets it once more, with the same webhook-id."}, true
	case "send-now":
		return askPage{Action: "/deliveries/send-now", Yes: "Send now", Title: "Send " + those + " now?",
			Text: "What waits for its next attempt is tried at once. What is final, or being sent this moment, is left as it is."}, true
	case "extend":
		return askPage{Action: "/deliveries/extend", Yes: "Extend", Extends: true, Title: "Try " + those + " longer?",
			Text: "What is not final is tried until then. The end is never brought nearer, and never lies beyond 8 days from acceptance."}, true
	case "cancel":
		return askPage{Action: "/deliveries/cancel", Yes: "Cancel " + those, Danger: true, Title: "Cancel " + those + "?",
			Text: "What is not final ends as cancelled: the recipient does not get the event, unless it is retried later. What is being sent this moment may still arrive."}, true
	default:
		return askPage{}, false
	}
}

// back is where to go on after a change: the page that htmx asked from, or what the form says.
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
	r.Flash(web.Good, fmt.Sprintf("Queued again: %d. Here is what becomes of it.", answer.GetQueued()))
	return r.Redirect(web.Address("/deliveries", "replayId", answer.GetReplayId()))
}

func sendNow(r *web.Request) error {
	form, targets, err := change(r)
	if err != nil {
		return err
	}
	answer, err := r.API.Deliveries.SendNow(r.Context(), &outboundv1.SendNowRequest{Deliveries: targets})
	return changed(r, form, answer, err, "Tried at once")
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
		form.Add("by", "is not a time span: write e.g. 30 min, 24 h or 2 d")
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

// change reads what a form wants done to which deliveries.
func change(r *web.Request) (*web.Form, []*outboundv1.RetryDeliveriesRequest_Target, error) {
	form, err := r.Input()
	if err != nil {
		return nil, nil, err
	}
	targets, err := readTargets(form)
	return form, targets, err
}

// reasonsShown is how many reasons a notice has for what was left as it is.
const reasonsShown = 3

// changed tells what was changed and why the rest was not.
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
		r.Flash(web.Note, fmt.Sprintf("Left as it is: %d. %s.", len(left), strings.Join(why, "; ")))
	}
	return r.Redirect(web.LocalPath(form.Get("back")))
}

func cut(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// refused tells in the page what a service refused; any other error is for the error page.
func refused(r *web.Request, form *web.Form, err error) error {
	told := &web.Form{}
	if !told.Refused(err) {
		return err
	}
	text := told.Notice
	for _, f := range told.Faults {
		text = strings.TrimSpace(text + " " + web.PlainWords(f.Field) + ": " + f.Text)
	}
	r.Flash(web.Bad, cut(text, 600))
	return r.Redirect(web.LocalPath(form.Get("back")))
}
