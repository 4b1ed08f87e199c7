package web

import (
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// ClassWords are a class of reasons in words: what went wrong, or did not. A class that is not known is shown as it is.
func ClassWords(class string) string {
	switch reasons.Class(class) {
	case reasons.ClassOK:
		return "no error"
	case reasons.ClassNetwork:
		return "network: not reached or cut off"
	case reasons.ClassTLS:
		return "TLS or certificate"
	case reasons.ClassTimeout:
		return "no answer in time"
	case reasons.ClassHTTP4xx:
		return "HTTP 4xx: refused by the receiver"
	case reasons.ClassHTTP5xx:
		return "HTTP 5xx: receiver broken"
	case reasons.ClassHTTPOther:
		return "HTTP, another status"
	case reasons.ClassSMTPDeferred:
		return "deferred by the relay"
	case reasons.ClassSMTPRefused:
		return "refused by the relay"
	case reasons.ClassAuth:
		return "signing in failed"
	case reasons.ClassEgress:
		return "address is forbidden"
	case reasons.ClassRender:
		return "could not be written"
	case reasons.ClassNotWanted:
		return "not wanted by the recipient"
	case reasons.ClassExpired:
		return "retry duration ended"
	case reasons.ClassCancelled:
		return "cancelled"
	case reasons.ClassOther:
		return "something else"
	default:
		return spaced(class)
	}
}

// ReasonWords are a reason in words.
func ReasonWords(reason string) string {
	if words, ok := attemptReasons()[reasons.Reason(reason)]; ok {
		return words
	}
	if words, ok := quietReasons()[reasons.Reason(reason)]; ok {
		return words
	}
	return spaced(reason)
}

// attemptReasons are why an attempt failed.
func attemptReasons() map[reasons.Reason]string {
	return map[reasons.Reason]string{
		reasons.OK: "delivered", reasons.HTTPStatus: "HTTP status is an error", reasons.Redirect: "redirect refused",
		reasons.Gone: "receiver says gone", reasons.DNS: "name not found (DNS)", reasons.Egress: "address is forbidden",
		reasons.Connect: "no connection", reasons.TLS: "TLS failed", reasons.Proxy: "proxy failed",
		reasons.Timeout: "no answer in time", reasons.ConnectionCut: "connection cut", reasons.Protocol: "answer not understood",
		reasons.Auth: "signing in failed", reasons.Render: "could not be written", reasons.SMTPDeferred: "deferred by the relay",
		reasons.SMTPRefused: "refused by the relay", reasons.RelayUnset: "no relay is set", reasons.PartlyDelivered: "delivered to some addresses",
	}
}

// quietReasons are why nothing was sent.
func quietReasons() map[reasons.Reason]string {
	return map[reasons.Reason]string{
		reasons.Expired: "retry duration ended", reasons.TypeUnwanted: "event type not selected", reasons.ApplianceOut: "appliance not selected",
		reasons.NoExternalKey: "no external key", reasons.FilterFalse: "filter says no", reasons.FilterError: "filter failed",
		reasons.Disabled: "recipient disabled", reasons.Deleted: "recipient deleted", reasons.Unreadable: "event not readable",
		reasons.Purged: "queue purged", reasons.Cancelled: "cancelled by hand", reasons.Backlog: "queue too old",
		reasons.SendNow: "sent now by hand", reasons.Extended: "extended by hand", reasons.NotDue: "not due yet",
		reasons.NoSlot: "no free slot", reasons.Breaker: "recipient fails all the time", reasons.RateLimit: "rate limit", reasons.Shutdown: "sender stopped",
		reasons.Unknown: "recipient not known yet", reasons.NoRecord: "not recorded yet",
		reasons.ConfigBehind: "configuration not known yet",
	}
}
