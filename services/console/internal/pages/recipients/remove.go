package recipients

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// removalPage confirms the deletion of a recipient or the purge of its queue.
type removalPage struct {
	Recipient *outboundv1.Recipient
	// Waiting is the number of deliveries that are cancelled.
	Waiting int64
	// Purge only purges the queue.
	Purge bool
}

// confirmRemoval shows what a deletion or a purge cancels.
func confirmRemoval(purge bool) web.Handle {
	return func(r *web.Request) error {
		id := r.PathValue("id")
		stored, err := r.API.Recipients.GetRecipient(r.Context(), &outboundv1.GetRecipientRequest{Id: id})
		if err != nil {
			return err
		}
		counted, err := r.API.Recipients.PurgeRecipient(r.Context(), &outboundv1.PurgeRecipientRequest{Id: id, ValidateOnly: true})
		if err != nil {
			return err
		}
		return r.Render("remove", removalPage{Recipient: stored, Waiting: counted.GetCancelled(), Purge: purge})
	}
}

// remove deletes a recipient.
func remove(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	_, err = r.API.Recipients.DeleteRecipient(r.Context(), &outboundv1.DeleteRecipientRequest{Id: id, Etag: form.Get("etag")})
	if text, ok := faultText(err); !ok {
		return err
	} else if text != "" {
		r.Flash(web.Bad, text)
		return r.Redirect("/recipients/" + id + "/delete")
	}
	r.Flash(web.Good, "Recipient deleted. Its pending deliveries are cancelled.")
	return r.Redirect("/")
}

// purge purges the queue. It is refused if the queue holds more deliveries than the page showed.
func purge(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	expected, err := strconv.ParseInt(form.Get("expected"), 10, 64)
	if err != nil {
		return r.Redirect("/recipients/" + id + "/purge")
	}
	answer, err := r.API.Recipients.PurgeRecipient(r.Context(),
		&outboundv1.PurgeRecipientRequest{Id: id, ExpectedCount: proto.Int64(expected)})
	if text, ok := faultText(err); !ok {
		return err
	} else if text != "" {
		r.Flash(web.Bad, text)
		return r.Redirect("/recipients/" + id + "/purge")
	}
	r.Flash(web.Good, "Queue purged: "+strconv.FormatInt(answer.GetCancelled(), 10)+" cancelled.")
	return r.Redirect("/recipients/" + id)
}
