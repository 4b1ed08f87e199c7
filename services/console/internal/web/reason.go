package web

import (
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// ClassWords returns a class of reasons in words. An unknown class is returned as it is.
func ClassWords(class string) string {
	switch reasonclass.Class(class) {
	case reasonclass.OK:
		return "no error"
	case reasonclass.Network:
		return "network error"
	case reasonclass.TLS:
		return "TLS error"
	case reasonclass.Timeout:
		return "timed out"
	case reasonclass.HTTP4xx:
		return "HTTP 4xx: client error"
	case reasonclass.HTTP5xx:
		return "HTTP 5xx: server error"
	case reasonclass.HTTPOther:
		return "other HTTP status"
	case reasonclass.SMTPDeferred:
		return "deferred by the relay"
	case reasonclass.SMTPRefused:
		return "refused by the relay"
	case reasonclass.Auth:
		return "authentication failed"
	case reasonclass.Egress:
		return "forbidden address"
	case reasonclass.Render:
		return "template error"
	case reasonclass.NotWanted:
		return "not selected by the recipient"
	case reasonclass.Expired:
		return "retry duration exceeded"
	case reasonclass.Cancelled:
		return "cancelled"
	case reasonclass.Other:
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
		reasons.Pulled: "pulled by the receiver",
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
		reasons.EventLost: "event lost by the store", reasons.RecipientLost: "recipient lost by the store",
		reasons.SendNow: "sent now by a user", reasons.Extended: "extended by a user", reasons.NotDue: "not due yet",
		reasons.NoSlot: "concurrency limit", reasons.Breaker: "recipient failing", reasons.RateLimit: "rate limit",
		reasons.Shutdown: "sender stopped", reasons.Maintenance: "recipient in maintenance",
		reasons.Unknown: "recipient unknown", reasons.NoRecord: "not recorded yet",
		reasons.NoNumber:     "not numbered yet",
		reasons.ConfigBehind: "configuration not up to date", reasons.Overdue: "held too long, left to another sender",
	}
}
