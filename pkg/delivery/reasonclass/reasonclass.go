// Package reasonclass has the classes that reasons are counted by.
package reasonclass

import "github.com/outbound-events/outbound/pkg/delivery/reasons"

// Class joins reasons for filters and counts.
type Class string

// The classes, as the API spells them.
const (
	OK           Class = "ok"
	Network      Class = "network"
	TLS          Class = "tls"
	Timeout      Class = "timeout"
	HTTP4xx      Class = "http_4xx"
	HTTP5xx      Class = "http_5xx"
	HTTPOther    Class = "http_other"
	SMTPDeferred Class = "smtp_deferred"
	SMTPRefused  Class = "smtp_refused"
	Auth         Class = "auth"
	Egress       Class = "egress"
	Render       Class = "render"
	NotWanted    Class = "not_wanted"
	Expired      Class = "expired"
	Cancelled    Class = "cancelled"
	Other        Class = "other"
)

// All are all classes, in the order in which they are offered.
func All() []Class {
	return []Class{
		OK, Network, TLS, Timeout, HTTP4xx, HTTP5xx, HTTPOther, SMTPDeferred, SMTPRefused,
		Auth, Egress, Render, NotWanted, Expired, Cancelled, Other,
	}
}

// Of is the one table from reasons to classes. status is the HTTP status or SMTP code, 0 if there was none.
func Of(r reasons.Reason, status int) Class {
	switch r {
	case reasons.OK, reasons.Pulled, reasons.PartlyDelivered:
		return OK
	case reasons.HTTPStatus, reasons.Gone, reasons.Redirect:
		return httpClass(status)
	case reasons.DNS, reasons.Connect, reasons.ConnectionCut, reasons.Protocol, reasons.Proxy:
		return Network
	case reasons.TLS:
		return TLS
	case reasons.Timeout:
		return Timeout
	case reasons.SMTPDeferred, reasons.RelayUnset:
		return SMTPDeferred
	case reasons.SMTPRefused:
		return SMTPRefused
	case reasons.Auth:
		return Auth
	case reasons.Egress:
		return Egress
	case reasons.Render, reasons.Unreadable:
		return Render
	case reasons.TypeUnwanted, reasons.ApplianceOut, reasons.NoExternalKey, reasons.FilterFalse, reasons.FilterError, reasons.Disabled:
		return NotWanted
	case reasons.Expired:
		return Expired
	case reasons.Deleted, reasons.Purged, reasons.Cancelled, reasons.Backlog, reasons.EventLost, reasons.RecipientLost:
		return Cancelled
	default:
		return Other
	}
}

func httpClass(status int) Class {
	switch status / 100 {
	case 4:
		return HTTP4xx
	case 5:
		return HTTP5xx
	default:
		return HTTPOther
	}
}
