package web

import (
	"github.com/outbound-events/outbound/pkg/delivery"
)

// ClassWords are a class of reasons in words: what went wrong, or did not. A class that is not known is shown as it is.
func ClassWords(class string) string {
	switch delivery.Class(class) {
	case delivery.ClassOK:
		return "no error"
	case delivery.ClassNetwork:
		return "network: not reached or cut off"
	case delivery.ClassTLS:
		return "TLS or certificate"
	case delivery.ClassTimeout:
		return "no answer in time"
	case delivery.ClassHTTP4xx:
		return "HTTP 4xx: refused by the receiver"
	case delivery.ClassHTTP5xx:
		return "HTTP 5xx: receiver broken"
	case delivery.ClassHTTPOther:
		return "HTTP, another status"
	case delivery.ClassSMTPDeferred:
		return "deferred by the relay"
	case delivery.ClassSMTPRefused:
		return "refused by the relay"
	case delivery.ClassAuth:
		return "signing in failed"
	case delivery.ClassEgress:
		return "address is forbidden"
	case delivery.ClassRender:
		return "could not be written"
	case delivery.ClassNotWanted:
		return "not wanted by the recipient"
	case delivery.ClassExpired:
		return "retry duration ended"
	case delivery.ClassCancelled:
		return "cancelled"
	case delivery.ClassOther:
		return "something else"
	default:
		return spaced(class)
	}
}

// ReasonWords are a reason in words.
func ReasonWords(reason string) string {
	if words, ok := attemptReasons()[delivery.Reason(reason)]; ok {
		return words
	}
	if words, ok := quietReasons()[delivery.Reason(reason)]; ok {
		return words
	}
	return spaced(reason)
}

// attemptReasons are why an attempt failed.
func attemptReasons() map[delivery.Reason]string {
	return map[delivery.Reason]string{
		delivery.ReasonOK: "delivered", delivery.ReasonHTTPStatus: "HTTP status is an error", delivery.ReasonRedirect: "redirect refused",
		delivery.ReasonGone: "receiver says gone", delivery.ReasonDNS: "name not found (DNS)", delivery.ReasonEgress: "address is forbidden",
		delivery.ReasonConnect: "no connection", delivery.ReasonTLS: "TLS failed", delivery.ReasonProxy: "proxy failed",
		delivery.ReasonTimeout: "no answer in time", delivery.ReasonConnectionCut: "connection cut", delivery.ReasonProtocol: "answer not understood",
		delivery.ReasonAuth: "signing in failed", delivery.ReasonRender: "could not be written", delivery.ReasonSMTPDeferred: "deferred by the relay",
		delivery.ReasonSMTPRefused: "refused by the relay", delivery.ReasonRelayUnset: "no relay is set", delivery.ReasonPartlyDelivered: "delivered to some addresses",
	}
}

// quietReasons are why nothing was sent.
func quietReasons() map[delivery.Reason]string {
	return map[delivery.Reason]string{
		delivery.ReasonExpired: "retry duration ended", delivery.ReasonTypeUnwanted: "event type not selected", delivery.ReasonApplianceOut: "appliance not selected",
		delivery.ReasonNoExternalKey: "no external key", delivery.ReasonFilterFalse: "filter says no", delivery.ReasonFilterError: "filter failed",
		delivery.ReasonDisabled: "recipient disabled", delivery.ReasonDeleted: "recipient deleted", delivery.ReasonUnreadable: "event not readable",
		delivery.ReasonPurged: "queue purged", delivery.ReasonCancelled: "cancelled by hand", delivery.ReasonBacklog: "queue too old",
		delivery.ReasonSendNow: "sent now by hand", delivery.ReasonExtended: "extended by hand", delivery.ReasonNotDue: "not due yet",
		delivery.ReasonNoSlot: "no free slot", delivery.ReasonBreaker: "recipient fails all the time", delivery.ReasonRateLimit: "rate limit", delivery.ReasonShutdown: "sender stopped",
		delivery.ReasonUnknown: "recipient not known yet", delivery.ReasonNoRecord: "not recorded yet",
		delivery.ReasonConfigBehind: "configuration not known yet",
	}
}
