package recipients

import (
	"strings"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/certificates"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// warnings returns what an operator should know about settings that are valid.
func warnings(r *outboundv1.Recipient, now time.Time) []string {
	h, out := r.GetHttp(), validation.MaintenanceWarnings(r.GetMaintenanceWindows(), now)
	if h == nil {
		return append(out, mailWarnings(r)...)
	}
	plain := strings.HasPrefix(strings.ToLower(h.GetUrl()), "http:")
	if plain {
		out = append(out, "http.url uses http: events are sent unencrypted.")
	}
	if plain && h.GetAuth().GetKind() != nil {
		out = append(out, "http.auth is sent unencrypted because http.url uses http.")
	}
	if pem := h.GetCaCertificatePem(); pem != "" && plain {
		out = append(out, "http.caCertificatePem is not used because http.url uses http.")
	} else if !plain {
		out = append(out, certificates.Server{Prefix: "http.", CAPEM: pem, LegacyTLS: h.GetLegacyTls(),
			SmallHello: h.GetSmallClientHello()}.Warnings(now)...)
	}
	if w := clientCertificateWarning(h, now); w != "" {
		out = append(out, w)
	}
	if w := bodyWarning(h); w != "" {
		out = append(out, w)
	}
	if n := len(h.GetSigningSecrets()); n > 0 && expired(h.GetSigningSecrets(), now) == n {
		out = append(out, "http.signingSecrets have all expired: requests are not signed.")
	}
	return out
}

func expired(secrets []*outboundv1.SigningSecret, now time.Time) int {
	n := 0
	for _, p := range secrets {
		if p.GetExpireTime() != nil && p.GetExpireTime().AsTime().Before(now) {
			n++
		}
	}
	return n
}
