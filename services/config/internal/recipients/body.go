package recipients

import (
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// checkBody adds what is wrong with a body template. It renders the template for an example of each selected type.
func checkBody(v *validation.Violations, r *outboundv1.Recipient, f checkInput) {
	h, before := r.GetHttp(), f.old.GetRecipient().GetHttp()
	if t := h.GetBodyContentType(); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || !strings.Contains(media, "/") {
			v.Add("http.bodyContentType", validation.Invalid, "is not a content type: use e.g. application/json")
		}
	}
	if h.GetBodyTemplate() == "" || !r.GetEnabled() && h.GetBodyTemplate() == before.GetBodyTemplate() {
		return
	}
	const field = "http.bodyTemplate"
	body, err := render.NewBodyTemplate(h.GetBodyTemplate())
	if err != nil {
		v.Add(field, validation.Invalid, err.Error())
		return
	}
	var custom []string
	if h.GetSendCustomFields() {
		custom = slices.Sorted(slices.Values(f.custom))
	}
	for _, t := range f.types {
		if !slices.Contains(r.GetEventTypes(), t.ID) {
			continue
		}
		if _, err := body.Render(event.Sample(t, "appliance-1", "example", f.now, custom), custom); err != nil {
			v.Add(field, validation.Invalid, fmt.Sprintf("fails for an example of %s: %v", t.ID, err))
			return
		}
	}
}

// bodyWarning returns a warning about settings of the body that have no effect, or nothing.
func bodyWarning(h *outboundv1.HttpRecipient) string {
	switch {
	case h.GetBodyTemplate() != "" && h.GetFormat() > outboundv1.HttpRecipient_Format_FORM:
		return "http.format is not used because http.bodyTemplate is set."
	case h.GetBodyTemplate() == "" && h.GetBodyContentType() != "":
		return "http.bodyContentType is not used without http.bodyTemplate."
	default:
		return ""
	}
}
