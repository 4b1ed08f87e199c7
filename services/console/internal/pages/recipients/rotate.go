package recipients

import (
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// rotate replaces the signing secret of a recipient. The page after it shows the new secret, once.
func rotate(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	back := "/recipients/" + r.PathValue("id")
	q := &outboundv1.RotateSigningSecretRequest{Id: r.PathValue("id"),
		Kind: outboundv1.SigningSecret_Kind(outboundv1.SigningSecret_Kind_value[form.Get("kind")])}
	if text := strings.TrimSpace(form.Get("overlap")); text != "" {
		overlap, ok := web.ParseWords(text)
		if !ok {
			r.Flash(web.Bad, "Overlap "+text+" is not a duration: use e.g. 24 h. The secret is not rotated.")
			return r.Redirect(back)
		}
		q.Overlap = durationpb.New(overlap)
	}
	changed, err := r.API.Recipients.RotateSigningSecret(r.Context(), q)
	if text, ok := faultText(err); !ok {
		return err
	} else if text != "" {
		r.Flash(web.Bad, text)
		return r.Redirect(back)
	}
	return saved(r, changed, "Signing secret rotated. Give the new one to the receiver; the old one ends by itself.")
}
