package config

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// fillRecipient writes the defaults into what is left open, so that what is read is what is in effect.
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
	fillDuration(&h.RetryInterval, recipient.DefaultRetryInterval)
	fillDuration(&h.RetryDuration, recipient.DefaultRetryDuration)
	fillDuration(&h.Timeout, recipient.DefaultTimeout)
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
		// A ceiling below the interval would be none.
		fillDuration(&b.Ceiling, max(recipient.DefaultBackoffCeiling, h.GetRetryInterval().AsDuration()))
	}
	if c := h.Contact; c != nil {
		fillDuration(&c.AlertAfter, recipient.DefaultAlertAfter)
		fillDuration(&c.ResendEvery, recipient.DefaultResendEvery)
	}
	if l := h.RateLimit; l != nil {
		fillDuration(&l.Period, time.Second)
	}
	// An authentication without a kind is none.
	if h.Auth != nil && h.Auth.Kind == nil {
		h.Auth = nil
	}
}

func fillDuration(d **durationpb.Duration, unset time.Duration) {
	if *d == nil {
		*d = durationpb.New(unset)
	}
}

// fillSMTP writes the defaults into the settings of the relay. It is done at reading, so that a port nobody set follows the
// encryption.
func fillSMTP(p *outboundv1.SmtpSettings) {
	if p.Encryption == outboundv1.SmtpSettings_Encryption_ENCRYPTION_UNSPECIFIED {
		p.Encryption = outboundv1.SmtpSettings_Encryption_STARTTLS
	}
	if p.Auth == outboundv1.SmtpSettings_Auth_AUTH_UNSPECIFIED {
		p.Auth = outboundv1.SmtpSettings_Auth_NONE
	}
	if p.Port == 0 {
		p.Port = defaultPort(p.GetEncryption())
	}
	if p.FromName == "" {
		p.FromName = "Outbound"
	}
	if p.MaxConnections == 0 {
		p.MaxConnections = settings.DefaultMaxConnections
	}
	if l := p.RateLimit; l != nil {
		fillDuration(&l.Period, time.Second)
	}
	if n := p.DailyNotice; n != nil && n.GetTime() == "" {
		n.Time = settings.DefaultNoticeTime
	}
}

func defaultPort(e outboundv1.SmtpSettings_Encryption_Mode) int32 {
	switch e {
	case outboundv1.SmtpSettings_Encryption_NONE:
		return 25
	case outboundv1.SmtpSettings_Encryption_TLS:
		return 465
	default:
		return 587
	}
}

func fillEmail(p *outboundv1.EmailSettings) {
	fillDuration(&p.RetryInterval, recipient.DefaultEmailRetryInterval)
	fillDuration(&p.RetryDuration, recipient.DefaultRetryDuration)
	if p.TimeZone == "" {
		p.TimeZone = "UTC"
	}
}
