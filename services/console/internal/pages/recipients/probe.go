package recipients

import (
	"net/url"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// testRun is a test event and its delivery.
type testRun struct {
	ID, Event string
	// Delivery is nil until the event is queued for the recipient.
	Delivery *outboundv1.Delivery
	Fault    string
}

// Final reports whether the test is finished, so that the page stops polling.
func (t testRun) Final() bool {
	switch t.Delivery.GetState() {
	case outboundv1.DeliveryState_DELIVERED, outboundv1.DeliveryState_EXPIRED, outboundv1.DeliveryState_REJECTED,
		outboundv1.DeliveryState_SKIPPED, outboundv1.DeliveryState_CANCELLED:
		return true
	default:
		return t.Fault != ""
	}
}

// Path is the address that the page polls.
func (t testRun) Path() string {
	return "/recipients/" + url.PathEscape(t.ID) + "/test/" + url.PathEscape(t.Event)
}

func findTest(r *web.Request, id, event string) testRun {
	t := testRun{ID: id, Event: event}
	answer, err := r.API.Deliveries.ListDeliveries(r.Context(),
		&outboundv1.ListDeliveriesRequest{RecipientId: id, EventId: event, PageSize: 1})
	if err == nil && len(answer.GetDeliveries()) > 0 {
		t.Delivery = answer.GetDeliveries()[0]
	}
	return t
}

// sendTest sends a test event and shows its delivery.
func sendTest(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	answer, err := r.API.Recipients.TestRecipient(r.Context(), &outboundv1.TestRecipientRequest{
		Id: id, EventType: form.Get("eventType"), DuringMaintenance: form.On("duringMaintenance"),
	})
	if err != nil {
		text, ok := faultText(err)
		switch {
		case !ok:
			return err
		case r.Part():
			return r.RenderPart("edit", "test-run", testRun{ID: id, Fault: text})
		default:
			r.Flash(web.Bad, text)
			return r.Redirect("/recipients/" + id)
		}
	}
	if !r.Part() {
		return r.Redirect(web.Address("/recipients/"+id, "test", answer.GetEventId()))
	}
	return r.RenderPart("edit", "test-run", findTest(r, id, answer.GetEventId()))
}

func showTest(r *web.Request) error {
	return r.RenderPart("edit", "test-run", findTest(r, r.PathValue("id"), r.PathValue("event")))
}

// runDiagnostics checks the connection to an HTTP recipient step by step.
func runDiagnostics(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	answer, err := r.API.Recipients.DoctorRecipient(r.Context(), &outboundv1.DoctorRecipientRequest{Id: id, Post: form.On("post")})
	if err != nil {
		text, ok := faultText(err)
		if !ok {
			return err
		}
		r.Flash(web.Bad, text)
		if !r.Part() {
			return r.Redirect("/recipients/" + id)
		}
	}
	if r.Part() {
		return r.RenderPart("edit", "diagnostics", answer)
	}
	stored, err := r.API.Recipients.GetRecipient(r.Context(), &outboundv1.GetRecipientRequest{Id: id})
	if err != nil {
		return err
	}
	return render(r, &editPage{Recipient: stored, Email: stored.GetEmail() != nil, Diagnostics: answer})
}

// showStatus renders the current status of a recipient.
func showStatus(r *web.Request) error {
	stored, err := r.API.Recipients.GetRecipient(r.Context(), &outboundv1.GetRecipientRequest{Id: r.PathValue("id")})
	if err != nil {
		return err
	}
	return r.RenderPart("edit", "status", recipientStatus(r, stored))
}
