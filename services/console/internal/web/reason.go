package web

import "github.com/outbound-events/outbound/pkg/delivery/reasons"

// ClassWords returns a class of reasons in words. An unknown class is returned as it is.
func ClassWords(class string) string {
	switch reasons.Class(class) {
	case reasons.ClassOK:
		return "no error"
	case reasons.ClassNetwork:
		return "network error"
	case reasons.ClassTLS:
		return "TLS error"
	case reasons.ClassTimeout:
		return "timed out"
	case reasons.ClassHTTP4xx:
		return "HTTP 4xx: client error"
	case reasons.ClassHTTP5xx:
		return "HTTP 5xx: server error"
	case reasons.ClassHTTPOther:
		return "other HTTP status"
	case reasons.ClassSMTPDeferred:
		return "deferred by the relay"
	case reasons.ClassSMTPRefused:
		return "refused by the relay"
	case reasons.ClassAuth:
		return "authentication failed"
	case reasons.ClassEgress:
		return "forbidden address"
	case reasons.ClassRender:
		return "template error"
	case reasons.ClassNotWanted:
		return "not selected by the recipient"
	case reasons.ClassExpired:
		return "retry duration exceeded"
	case reasons.ClassCancelled:
		return "cancelled"
	case reasons.ClassOther:
		return "other error"
	default:
		return spaced(class)
	}
}

// ReasonWords returns a reason in words.
func ReasonWords(reason string) string {
	if words, ok := attemptReasons()[reasons.Reason(reason)]; ok {
		return words
	}
	if words, ok := quietReasons()[reasons.Reason(reason)]; ok {
		return words
	}
	return spaced(reason)
}

// attemptReasons are the reasons of attempts.
func attemptReasons() map[reasons.Reason]string {
	return map[reasons.Reason]string{
		reasons.OK: "delivered", reasons.HTTPStatus: "HTTP error", reasons.Redirect: "redirect not followed",
		reasons.Gone: "410 Gone", reasons.DNS: "DNS lookup failed", reasons.Egress: "forbidden address",
		reasons.Connect: "connection failed", reasons.TLS: "TLS failed", reasons.Proxy: "proxy failed",
		reasons.Timeout: "timed out", reasons.ConnectionCut: "connection lost", reasons.Protocol: "invalid response",
		reasons.Auth: "authentication failed", reasons.Render: "template error", reasons.SMTPDeferred: "deferred by the relay",
		reasons.SMTPRefused: "refused by the relay", reasons.RelayUnset: "no relay configured", reasons.PartlyDelivered: "partially delivered",
	}
}

// quietReasons are the reasons without an attempt.
func quietReasons() map[reasons.Reason]string {
	return map[reasons.Reason]string{
		reasons.Expired: "retry duration exceeded", reasons.TypeUnwanted: "event type not selected",
		reasons.ApplianceOut:  "appliance not selected",
		reasons.NoExternalKey: "no external key", reasons.FilterFalse: "filtered out", reasons.FilterError: "filter error",
		reasons.Disabled: "recipient disabled", reasons.Deleted: "recipient deleted", reasons.Unreadable: "event unreadable",
		reasons.Purged: "queue purged", reasons.Cancelled: "cancelled by a user", reasons.Backlog: "backlog limit exceeded",
		"event_lost": "event lost by the store", "recipient_lost": "recipient lost by the store",
		reasons.SendNow: "sent now by a user", reasons.Extended: "extended by a user", reasons.NotDue: "not due yet",
		reasons.NoSlot: "concurrency limit", reasons.Breaker: "recipient failing", reasons.RateLimit: "rate limit",
		reasons.Shutdown: "sender stopped",
		reasons.Unknown:  "recipient unknown", reasons.NoRecord: "not recorded yet",
		reasons.ConfigBehind: "configuration not up to date",
	}
}
