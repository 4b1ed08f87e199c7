package recipients

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// leavePage asks before a recipient, or what waits for it, goes.
type leavePage struct {
	Recipient *outboundv1.Recipient
	// Waiting is how many deliveries will be cancelled.
	Waiting int64
	// Purge empties the queue alone.
	Purge bool
}

// askToLeave shows what a deletion or a purge would cancel.
func askToLeave(purge bool) web.Handle {
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
		return r.Render("leave", leavePage{Recipient: stored, Waiting: counted.GetCancelled(), Purge: purge})
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
	if text, told := faultText(err); !told {
		return err
	} else if text != "" {
		r.Flash(web.Bad, text)
		return r.Redirect("/recipients/" + id + "/delete")
	}
	r.Flash(web.Good, "Recipient deleted. Its pending deliveries are cancelled.")
	return r.Redirect("/")
}

// purge empties a queue, unless more waits than whoever asks has seen.
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
	answer, err := r.API.Recipients.PurgeRecipient(r.Context(), &outboundv1.PurgeRecipientRequest{Id: id, ExpectedCount: proto.Int64(expected)})
	if text, told := faultText(err); !told {
		return err
	} else if text != "" {
		r.Flash(web.Bad, text)
		return r.Redirect("/recipients/" + id + "/purge")
	}
	r.Flash(web.Good, "Queue purged: "+strconv.FormatInt(answer.GetCancelled(), 10)+" cancelled.")
	return r.Redirect("/recipients/" + id)
}
