package recipients

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

func showOverview(r *web.Request) error {
	f, err := collect(r.Context(), r.API)
	if err != nil {
		return err
	}
	b := newOverview(f, viewOf(r.URL.Query()))
	if r.Part() && r.Header.Get("HX-Target") == "overview" {
		return r.RenderPart("list", "overview", b)
	}
	return r.Render("list", b)
}

// setEnabled enables or disables a recipient in place.
func setEnabled(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	changed, err := r.API.Recipients.UpdateRecipient(r.Context(), &outboundv1.UpdateRecipientRequest{
		Recipient:  &outboundv1.Recipient{Id: r.PathValue("id"), Enabled: proto.Bool(form.On("enabled"))},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"enabled"}},
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
	if r.GetEnabled() {
		return "enabled"
	}
	return "disabled"
}
