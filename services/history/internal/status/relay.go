package status

import (
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// relayMaxAge is how old a check of the relay may be to count. Email senders check every minute.
const relayMaxAge = 3 * time.Minute

// relayStatus compares what the email senders saw last with the settings as they are now.
func relayStatus(smtp settings.SMTP, r health.Relay, now time.Time) *outboundv1.RelayStatus {
	out := &outboundv1.RelayStatus{
		Configured:  smtp.Host != "" && smtp.FromAddress != "",
		CheckedTime: protofield.Timestamp(r.Checked), AcceptedTime: protofield.Timestamp(r.Accepted),
		FailingSinceTime: protofield.Timestamp(r.Since),
	}
	if c := relayCertificate(smtp, r); c != nil {
		out.CertificateExpireTime, out.CertificateSubject = protofield.Timestamp(c.Until), protofield.Text(c.Subject)
	}
	switch {
	case smtp.Host == "":
		out.Line = "No SMTP relay configured; emails are queued. Set a host under Settings → Email relay"
	case smtp.FromAddress == "":
		out.Line = "No from address configured; emails are queued. Set it under Settings → Email relay"
	case r.Line == "" || r.Etag != smtp.Etag:
		out.Line = "not checked since the last change: if this persists, start an email-sender"
		out.FailingSinceTime = nil
	case now.Sub(r.Checked) > relayMaxAge:
		out.Line = fmt.Sprintf("not checked since %s: start an email-sender. Last status: %s", r.Checked.UTC().Format(time.RFC3339), r.Line)
	default:
		out.Line, out.Ok = r.Line, r.Line == health.RelayOK
	}
	return out
}
