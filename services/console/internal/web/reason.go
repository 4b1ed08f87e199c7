package web

import (
	"github.com/outbound-events/outbound/pkg/delivery"
)

// ClassWords returns a class of reasons in words. An unknown class is returned as it is.
func ClassWords(class string) string {
	switch delivery.Class(class) {
	case delivery.ClassOK:
		return "no error"
	case delivery.ClassNetwork:
		return "network error"
	case delivery.ClassTLS:
		return "TLS error"
	case delivery.ClassTimeout:
		return "timed out"
	case delivery.ClassHTTP4xx:
		return "HTTP 4xx: client error"
	case delivery.ClassHTTP5xx:
		return "HTTP 5xx: server error"
	case delivery.ClassHTTPOther:
		return "other HTTP status"
	case delivery.ClassSMTPDeferred:
		return "deferred by the relay"
	case delivery.ClassSMTPRefused:
		return "refused by the relay"
	case delivery.ClassAuth:
		return "authentication failed"
	case delivery.ClassEgress:
		return "forbidden address"
	case delivery.ClassRender:
		return "template error"
	case delivery.ClassNotWanted:
		return "not selected by the recipient"
	case delivery.ClassExpired:
		return "retry duration exceeded"
	case delivery.ClassCancelled:
		return "cancelled"
	case delivery.ClassOther:
		return "other error"
	default:
		return spaced(class)
	}
}

// ReasonWords returns a reason in words.
func ReasonWords(reason string) string {
	if words, ok := attemptReasons()[delivery.Reason(reason)]; ok {
		return words
	}
	if words, ok := quietReasons()[delivery.Reason(reason)]; ok {
		return words
	}
	return spaced(reason)
}

// attemptReasons are the reasons of attempts.
func attemptReasons() map[delivery.Reason]string {
	return map[delivery.Reason]string{
		delivery.ReasonOK: "delivered", delivery.ReasonHTTPStatus: "HTTP error", delivery.ReasonRedirect: "redirect not followed",
		delivery.ReasonGone: "410 Gone", delivery.ReasonDNS: "DNS lookup failed", delivery.ReasonEgress: "forbidden address",
		delivery.ReasonConnect: "connection failed", delivery.ReasonTLS: "TLS failed", delivery.ReasonProxy: "proxy failed",
		delivery.ReasonTimeout: "timed out", delivery.ReasonConnectionCut: "connection lost", delivery.ReasonProtocol: "invalid response",
		delivery.ReasonAuth: "authentication failed", delivery.ReasonRender: "template error", delivery.ReasonSMTPDeferred: "deferred by the relay",
		delivery.ReasonSMTPRefused: "refused by the relay", delivery.ReasonRelayUnset: "no relay configured", delivery.ReasonPartlyDelivered: "partially delivered",
	}
}

// quietReasons are the reasons without an attempt.
func quietReasons() map[delivery.Reason]string {
	return map[delivery.Reason]string{
		delivery.ReasonExpired: "retry duration exceeded", delivery.ReasonTypeUnwanted: "event type not selected", delivery.ReasonApplianceOut: "appliance not selected",
		delivery.ReasonNoExternalKey: "no external key", delivery.ReasonFilterFalse: "filtered out", delivery.ReasonFilterError: "filter error",
		delivery.ReasonDisabled: "recipient disabled", delivery.ReasonDeleted: "recipient deleted", delivery.ReasonUnreadable: "event unreadable",
		delivery.ReasonPurged: "queue purged", delivery.ReasonCancelled: "cancelled by a user", delivery.ReasonBacklog: "backlog limit exceeded",
		delivery.ReasonSendNow: "sent now by a user", delivery.ReasonExtended: "extended by a user", delivery.ReasonNotDue: "not due yet",
		delivery.ReasonNoSlot: "concurrency limit", delivery.ReasonBreaker: "recipient failing", delivery.ReasonRateLimit: "rate limit", delivery.ReasonShutdown: "sender stopped",
		delivery.ReasonUnknown: "recipient unknown", delivery.ReasonNoRecord: "not recorded yet",
		delivery.ReasonConfigBehind: "configuration not up to date",
	}
}
