package settings

import (
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// fillSMTP sets the defaults of the relay. It is called when settings are read, so that the default port follows the encryption.
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
		validation.FillDuration(&l.Period, time.Second)
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
	validation.FillDuration(&p.RetryInterval, recipient.DefaultEmailRetryInterval)
	validation.FillDuration(&p.RetryDuration, recipient.DefaultRetryDuration)
	if p.TimeZone == "" {
		p.TimeZone = "UTC"
	}
}
