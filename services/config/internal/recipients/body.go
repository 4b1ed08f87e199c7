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
	checkContentTypes(v, h, before)
	if h.GetBodyTemplate() == "" || !r.GetEnabled() && h.GetBodyTemplate() == before.GetBodyTemplate() {
		return
	}
	const field = "http.bodyTemplate"
	body, err := render.NewBodyTemplate(h.GetBodyTemplate())
	if err != nil {
		v.Add(field, validation.Invalid, err.Error())
		return
	}
	body = body.With(h.GetHeaders())
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

// checkContentTypes adds what is wrong with the content types. One for a custom body that is not there was ignored once: stored as it
// is, it must not keep an operator from changing something else.
func checkContentTypes(v *validation.Violations, h, before *outboundv1.HttpRecipient) {
	custom := h.GetBodyTemplate() != ""
	if t := h.GetBodyContentType(); t != "" {
		switch media, _, err := mime.ParseMediaType(t); {
		case err != nil || !strings.Contains(media, "/"):
			v.Add("http.bodyContentType", validation.Invalid, "is not a content type: use e.g. application/json")
		case !custom && (before.GetBodyTemplate() != "" || before.GetBodyContentType() != t):
			v.Add("http.bodyContentType", validation.Invalid, "is only for a custom body, and http.bodyTemplate is empty: use "+
				"http.contentType for a body in http.format")
		}
	}
	t := h.GetContentType()
	if t == "" {
		return
	}
	media, parameters, err := mime.ParseMediaType(t)
	charset := parameters["charset"]
	switch isForm := h.GetFormat() <= outboundv1.HttpRecipient_Format_FORM; {
	case custom:
		v.Add("http.contentType", validation.Invalid, "is for a body in http.format, and http.bodyTemplate is set: use http.bodyContentType")
	case err != nil || !strings.Contains(media, "/"):
		v.Add("http.contentType", validation.Invalid, "is not a content type: use e.g. application/x-www-form-urlencoded")
	case charset != "" && !strings.EqualFold(charset, "utf-8"):
		v.Add("http.contentType", validation.Invalid, fmt.Sprintf("has the charset %s, but bodies are in UTF-8: leave charset out, or use utf-8",
			charset))
	case isForm && media != "application/x-www-form-urlencoded":
		v.Add("http.contentType", validation.Invalid, "is not one of a body in the format FORM: use application/x-www-form-urlencoded, "+
			"with or without a charset")
	case !isForm && media != "application/json" && !strings.HasSuffix(media, "+json"):
		v.Add("http.contentType", validation.Invalid, "is not one of a body in JSON: use application/json, or a type that ends in +json")
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
