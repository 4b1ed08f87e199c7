package configclient

import (
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// decodeBody fills in how bodies are written. The format was FORM before.
func decodeBody(t *recipient.HTTPTarget, h *outboundv1.HttpRecipient) {
	switch h.GetFormat() {
	case outboundv1.HttpRecipient_Format_JSON:
		t.Format = recipient.JSON
	case outboundv1.HttpRecipient_Format_JSON_BINARY:
		t.Format = recipient.JSONBinary
	case outboundv1.HttpRecipient_Format_FORM, outboundv1.HttpRecipient_Format_FORMAT_UNSPECIFIED:
	}
	t.ContentType = h.GetContentType()
	t.BodyTemplate, t.BodyContentType = h.GetBodyTemplate(), h.GetBodyContentType()
	if t.BodyTemplate != "" && t.BodyContentType == "" {
		t.BodyContentType = recipient.DefaultBodyContentType
	}
}
