package recipients

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// fillRecipient sets the defaults, so that what is read is what is in effect.
func fillRecipient(r *outboundv1.Recipient) {
	r.DisplayName = strings.TrimSpace(r.GetDisplayName())
	if r.Enabled == nil {
		r.Enabled = proto.Bool(true)
	}
	if r.WhileDisabled == outboundv1.Recipient_WhileDisabled_WHILE_DISABLED_UNSPECIFIED {
		r.WhileDisabled = outboundv1.Recipient_WhileDisabled_SKIP
	}
	if h := r.GetHttp(); h != nil {
		fillHTTP(h)
	}
}

func fillHTTP(h *outboundv1.HttpRecipient) {
	validation.FillDuration(&h.RetryInterval, recipient.DefaultRetryInterval)
	validation.FillDuration(&h.RetryDuration, recipient.DefaultRetryDuration)
	validation.FillDuration(&h.Timeout, recipient.DefaultTimeout)
	if h.MaxInFlight == 0 {
		h.MaxInFlight = recipient.DefaultMaxInFlight
	}
	if h.Format == outboundv1.HttpRecipient_Format_FORMAT_UNSPECIFIED {
		h.Format = outboundv1.HttpRecipient_Format_FORM
	}
	if h.Success == outboundv1.HttpRecipient_Success_SUCCESS_UNSPECIFIED {
		h.Success = outboundv1.HttpRecipient_Success_HTTP_200
	}
	if h.Order == outboundv1.HttpRecipient_Order_ORDER_UNSPECIFIED {
		h.Order = outboundv1.HttpRecipient_Order_NONE
	}
	if b := h.Backoff; b != nil {
		if b.Multiplier == 0 {
			b.Multiplier = recipient.DefaultBackoffMultiplier
		}
		// A ceiling below the interval has no effect.
		validation.FillDuration(&b.Ceiling, max(recipient.DefaultBackoffCeiling, h.GetRetryInterval().AsDuration()))
	}
	if c := h.Contact; c != nil {
		validation.FillDuration(&c.AlertAfter, recipient.DefaultAlertAfter)
		validation.FillDuration(&c.ResendEvery, recipient.DefaultResendEvery)
	}
	if l := h.RateLimit; l != nil {
		validation.FillDuration(&l.Period, time.Second)
	}
	// Authentication without a kind is no authentication.
	if h.Auth != nil && h.Auth.Kind == nil {
		h.Auth = nil
	}
}
